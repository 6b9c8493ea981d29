"""How often `torch.compile` compiles while requests come and go."""
