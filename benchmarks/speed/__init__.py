"""Speed beside peers, in one process on the same files and base: ``python -m benchmarks.speed``."""
