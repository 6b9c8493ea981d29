"""What backgrounds are painted on: a surface of 64 by 64 pixels, and inks of a hue."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lorafusion.pocket.world.sprites import hue

SIZE = 64

Pixels: TypeAlias = NDArray[np.uint8]
Ink: TypeAlias = tuple[int, int, int]
Random: TypeAlias = np.random.Generator
Number: TypeAlias = float | int

_FINE = 2
"""Painted at twice the size, then halved, so that edges are smooth."""


def ink(degrees: Number, light: Number, colour: Number) -> Ink:
    """A colour of a hue: light 0 (black) to 1 (white), colour 0 (grey) to 1 (full)."""
    full = np.clip(light + colour * (hue(degrees) - 0.5) * (1 - abs(2 * light - 1) * 0.6), 0, 1)
    red, green, blue = (int(255 * channel) for channel in full)
    return red, green, blue


class Canvas:
    """A drawing surface in units of one final pixel."""

    def __init__(self, top: Ink, bottom: Ink) -> None:
        """Start with a gradient from top to bottom."""
        side = SIZE * _FINE
        ramp = np.linspace(0, 1, side, dtype=np.float32)[:, None, None]
        start, end = np.array(top, np.float32), np.array(bottom, np.float32)
        rows = np.broadcast_to(start * (1 - ramp) + end * ramp, (side, side, 3))
        self.image = Image.fromarray(rows.astype(np.uint8))
        self.draw = ImageDraw.Draw(self.image)

    def box(self, x: Number, y: Number, width: Number, height: Number, fill: Ink) -> None:
        """Fill a rectangle."""
        if width > 0 and height > 0:
            corners = (x, y, x + width - 0.5, y + height - 0.5)
            self.draw.rectangle([int(c * _FINE) for c in corners], fill=fill)

    def disc(self, x: Number, y: Number, radius: Number, fill: Ink, flat: Number = 1) -> None:
        """Fill a circle, or an ellipse of height flat times its width."""
        corners = (x - radius, y - radius * flat, x + radius, y + radius * flat)
        self.draw.ellipse([c * _FINE for c in corners], fill=fill)

    def shape(self, points: list[tuple[Number, Number]], fill: Ink) -> None:
        """Fill a polygon."""
        self.draw.polygon([(x * _FINE, y * _FINE) for x, y in points], fill=fill)

    def pixels(self) -> Pixels:
        """The finished picture, [64, 64, 3]."""
        return np.asarray(self.image.resize((SIZE, SIZE), Image.Resampling.BOX))
