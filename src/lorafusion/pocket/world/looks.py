"""How one example of a class looks: its colours, markings and proportions.

The base model knows every class in many looks. An *individual* is one particular look of a class;
the neighbourhood of its look is kept out of the base's data, so that only a LoRA can teach it.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Marking: TypeAlias = Literal["plain", "bands", "bars", "spots", "halves", "checks", "slant"]
MARKINGS: tuple[Marking, ...] = get_args(Marking)

Colour: TypeAlias = tuple[int, int, int]


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
