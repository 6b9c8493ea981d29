"""The small testbed: pocket's base, its LoRAs, and composition methods, scored by pocket's scorers."""
