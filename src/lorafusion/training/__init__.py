"""Training: LoRAs from pictures."""

from lorafusion.training.about import About
from lorafusion.training.draw import Brush, Samples, prior
from lorafusion.training.examples import Example, read_examples
from lorafusion.training.lora import Trained, forget, train_lora
from lorafusion.training.recipe import POCKET, PRECISIONS, TARGETS, Recipe, changed

__all__ = [
    "POCKET",
    "PRECISIONS",
    "TARGETS",
    "About",
    "Brush",
    "Example",
    "Recipe",
    "Samples",
    "Trained",
    "changed",
    "forget",
    "prior",
    "read_examples",
    "train_lora",
]
