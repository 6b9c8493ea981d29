"""A LoRA of a concept that pocket does not know, trained as a user would: ``python -m benchmarks.training``."""
