"""How one example of a class looks: its colours, markings and proportions.

The base model knows every class in many looks. An *individual* is one particular look of a class;
the neighbourhood of its look is kept out of the base's data, so that only a LoRA can teach it.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias, get_args

import numpy as np

from lorafusion.pocket.world.catalogue import KINDS

Marking: TypeAlias = Literal["plain", "bands", "bars", "spots", "halves", "checks", "slant"]
MARKINGS: tuple[Marking, ...] = get_args(Marking)

POOL = 240
"""Looks of one class that the base's data draws from."""

Colour: TypeAlias = tuple[int, int, int]

PAINTS: tuple[Colour, ...] = (
    (226, 54, 48), (245, 150, 40), (250, 215, 60), (70, 175, 80), (50, 180, 200),
    (55, 95, 215), (140, 75, 200), (240, 120, 180), (245, 245, 245), (60, 55, 60),
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """One appearance of a drawn class.

    Attributes:
        emoji: the artwork it starts from.
        turn: rotation of all hues, in degrees.
        tint: hue in degrees that greys are coloured with.
        wash: how much of the tint is used, 0 to 1.
        marking: pattern painted over the artwork.
        paint: colour of that pattern.
        stretch: width divided by height, relative to the artwork.
        scale: size relative to the class's usual size.
    """

    emoji: str
    turn: float = 0.0
    tint: float = 0.0
    wash: float = 0.0
    marking: Marking = "plain"
    paint: Colour = (255, 255, 255)
    stretch: float = 1.0
    scale: float = 1.0


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
    from lorafusion.pocket.world.individuals import individual_of

    rng = np.random.default_rng([*word.encode()])
    avoided = individual_of(word)
    look = avoided.look if avoided is not None else None
    return tuple(_vary(word, look, rng) for _ in range(POOL))


def _vary(word: str, avoided: Look | None, rng: np.random.Generator) -> Look:
    kind = KINDS[word]
    allowed = [m for m in MARKINGS[1:] if avoided is None or m != avoided.marking]
    marked = rng.random() < 0.4
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
