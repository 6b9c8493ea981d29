"""Training: LoRAs and spectral shifts from pictures."""

from lorafusion.training.about import About
from lorafusion.training.checkpoint import forget
from lorafusion.training.draw import Brush, Samples, prior
from lorafusion.training.examples import Example, read_examples
from lorafusion.training.gates import Task, TrainedGates, largest, train_gates
from lorafusion.training.recipe import (
    GATES,
    POCKET,
    POCKET_GATES,
    POCKET_SPECTRAL,
    PRECISIONS,
    SPECTRAL,
    TARGETS,
    Recipe,
    changed,
)
from lorafusion.training.train import KINDS, Trained, train

__all__ = [
    "GATES",
    "KINDS",
    "POCKET",
    "POCKET_GATES",
    "POCKET_SPECTRAL",
    "PRECISIONS",
    "SPECTRAL",
    "TARGETS",
    "About",
    "Brush",
    "Example",
    "Recipe",
    "Samples",
    "Task",
    "Trained",
    "TrainedGates",
    "changed",
    "forget",
    "largest",
    "prior",
    "read_examples",
    "train",
    "train_gates",
]
