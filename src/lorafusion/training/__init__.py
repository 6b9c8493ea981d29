"""Training: LoRAs and spectral shifts from pictures."""

from lorafusion.training.about import About
from lorafusion.training.draw import Brush, Samples, prior
from lorafusion.training.examples import Example, read_examples
from lorafusion.training.recipe import (
    POCKET,
    POCKET_SPECTRAL,
    PRECISIONS,
    SPECTRAL,
    TARGETS,
    Recipe,
    changed,
)
from lorafusion.training.train import KINDS, Trained, forget, train

__all__ = [
    "KINDS",
    "POCKET",
    "POCKET_SPECTRAL",
    "PRECISIONS",
    "SPECTRAL",
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
    "train",
]
