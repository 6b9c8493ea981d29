"""How long a folder of ten thousand LoRAs takes to open: ``python -m benchmarks.library``."""
