"""Experiments: each a folder with one command, which writes one file under ``results/``."""
