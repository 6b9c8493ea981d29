"""The pocket world: small scenes drawn from emoji artwork, with captions that name what is in them.

It is the data that the bundled model and its LoRAs were trained on. Everything is decided by a
seed, so that a test or an experiment can draw the very picture that a prompt asks for.
"""

from lorafusion.pocket.world.captions import caption
from lorafusion.pocket.world.catalogue import CATEGORIES, KINDS, Category, Kind, words
from lorafusion.pocket.world.individuals import INDIVIDUALS, Individual
from lorafusion.pocket.world.scene import RATES, Element, Scene, render, sample, with_individuals
from lorafusion.pocket.world.sprites import font_path

__all__ = [
    "CATEGORIES", "INDIVIDUALS", "KINDS", "RATES", "Category", "Element", "Individual", "Kind",
    "Scene", "caption", "font_path", "render", "sample", "with_individuals", "words",
]  # fmt: skip
