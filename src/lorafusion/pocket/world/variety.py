"""The variety of looks in which the base model knows a class, away from the class's individual."""

from functools import cache

import numpy as np

from lorafusion.pocket.world.catalogue import KINDS
from lorafusion.pocket.world.individuals import individual_of
from lorafusion.pocket.world.looks import MARKINGS, Colour, Look

POOL = 240
"""Looks of one class that the base's data draws from."""

PAINTS: tuple[Colour, ...] = (
    (226, 54, 48), (245, 150, 40), (250, 215, 60), (70, 175, 80), (50, 180, 200),
    (55, 95, 215), (140, 75, 200), (240, 120, 180), (245, 245, 245), (60, 55, 60),
)  # fmt: skip


GREY = frozenset({"robot", "panda", "rabbit", "alien", "hat", "headphones", "glasses", "bear"})
"""Classes whose artwork has so little colour that turning hues would not vary it."""


@cache
def pool(word: str) -> tuple[Look, ...]:
    """The looks of a drawn class that the base knows, the same on every machine.

    Args:
        word: a class drawn from artwork.
    Returns:
        POOL looks, none of them near the class's individual.
    """
    rng = np.random.default_rng([*word.encode()])
    avoided = individual_of(word)
    look = avoided.look if avoided is not None else None
    return tuple(_vary(word, look, rng) for _ in range(POOL))


def _vary(word: str, avoided: Look | None, rng: np.random.Generator) -> Look:
    kind = KINDS[word]
    allowed = [m for m in MARKINGS[1:] if avoided is None or m != avoided.marking]
    marked = rng.random() < 0.3
    natural = avoided is None and rng.random() < 0.4
    turn = rng.uniform(-12, 12) if natural else rng.uniform(60, 300)
    wash = rng.uniform(0.45, 0.8) if word in GREY and not natural else 0.0
    return Look(
        emoji=str(rng.choice(kind.emoji)),
        turn=float(turn),
        tint=float(rng.uniform(0, 360)),
        wash=float(wash),
        marking=allowed[int(rng.integers(len(allowed)))] if marked else "plain",
        paint=PAINTS[int(rng.integers(len(PAINTS)))],
        stretch=float(rng.uniform(0.82, 1.1) if avoided is not None else rng.uniform(0.82, 1.22)),
        scale=float(rng.uniform(0.92, 1.08)),
    )
