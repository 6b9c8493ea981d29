"""Experiments against peers: they use the package's public names and write benchmarks/results."""
