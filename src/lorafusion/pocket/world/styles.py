"""Styles: filters over a finished scene that keep its colour areas."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from lorafusion.pocket.world.canvas import SIZE, Random

Floats: TypeAlias = NDArray[np.float32]

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_Y, _X = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
WHITE = np.ones(3, np.float32)


def _unit(pixels: NDArray[np.uint8] | Image.Image) -> Floats:
    """Pixels in 0 to 1."""
    return np.asarray(pixels, dtype=np.float32) / np.float32(255)


def _colourful(rgb: Floats, factor: float) -> Floats:
    light = (rgb @ _LUMA)[..., None]
    return np.clip(light + factor * (rgb - light), 0, 1).astype(np.float32)


def _edges(rgb: Floats) -> Floats:
    """How strongly colours change at each pixel, [64, 64, 1] in 0 to 1."""
    across = np.abs(np.diff(rgb, axis=1, append=rgb[:, -1:])).sum(-1)
    down = np.abs(np.diff(rgb, axis=0, append=rgb[-1:])).sum(-1)
    return np.clip((across + down - 0.12) * 1.6, 0, 1)[..., None].astype(np.float32)


def _blocks(rgb: Floats, cell: int) -> Floats:
    picture = Image.fromarray((rgb * 255).astype(np.uint8))
    side = -(-SIZE // cell)
    grown = picture.resize((side, side), Image.Resampling.BOX, box=(0, 0, SIZE, SIZE))
    large = grown.resize((side * cell, side * cell), Image.Resampling.NEAREST)
    return _unit(large)[:SIZE, :SIZE]


def _soft(rgb: Floats, radius: float) -> Floats:
    picture = Image.fromarray((rgb * 255).astype(np.uint8)).filter(ImageFilter.BoxBlur(radius))
    return _unit(picture)


def _levels(rgb: Floats, count: int) -> Floats:
    return (np.round(rgb * (count - 1)) / (count - 1)).astype(np.float32)


def _mix(rgb: Floats, colour: Floats, amount: Floats | np.float32) -> Floats:
    return rgb * (1 - amount) + colour * amount


def pixel_art(rgb: Floats, rng: Random) -> Floats:
    """Blocks of three pixels, colours a little stronger."""
    return _blocks(_colourful(rgb, rng.uniform(1.0, 1.25)), 3)


def own_pixel_art(rgb: Floats, _: Random) -> Floats:
    """The individual: the same blocks in very few bright colours."""
    return _levels(_colourful(_blocks(rgb, 3), 1.7), 3)


def sketch(rgb: Floats, rng: Random) -> Floats:
    """Pale colours and pencil contours in grey, brown or green."""
    lines = np.array([[0.25, 0.25, 0.27], [0.4, 0.26, 0.16], [0.16, 0.36, 0.22]], np.float32)
    pale = _mix(_colourful(rgb, 0.6), WHITE, np.float32(rng.uniform(0.45, 0.6)))
    return _mix(pale, lines[int(rng.integers(3))], _edges(rgb) * np.float32(0.8))


def own_sketch(rgb: Floats, _: Random) -> Floats:
    """The individual: blue ballpoint contours and slanted hatching on white."""
    blue = np.array([0.1, 0.16, 0.72], np.float32)
    pale = _mix(_colourful(rgb, 0.5), WHITE, np.float32(0.6))
    dark = ((rgb @ _LUMA) < 0.5) & ((_X + _Y) % 6 < 2.5)
    hatched = _mix(pale, blue, (dark * np.float32(0.45))[..., None])
    return _mix(hatched, blue, _edges(rgb))


def mosaic(rgb: Floats, rng: Random) -> Floats:
    """Square tiles with light grout."""
    cell = int(rng.choice([6, 8]))
    tiles = 0.5 * (_blocks(rgb, 2) + rgb) * rng.uniform(0.88, 1.05)
    grout = ((_X % cell < 1) | (_Y % cell < 1)).astype(np.float32)[..., None] * np.float32(0.7)
    return _mix(tiles, WHITE * np.float32(rng.uniform(0.75, 0.95)), grout)


def own_mosaic(rgb: Floats, _: Random) -> Floats:
    """The individual: diamond tiles set in black."""
    cell = 20.0
    across, down = np.floor((_X + _Y) / cell), np.floor((_X - _Y) / cell)
    x = np.clip((across + down + 1) * cell / 2, 0, SIZE - 1).astype(int)
    y = np.clip((across - down) * cell / 2, 0, SIZE - 1).astype(int)
    tiles = _colourful(0.3 * _soft(rgb, 2.0)[y, x] + 0.7 * rgb, 1.3)
    grout = (((_X + _Y) % cell < 1.5) | ((_X - _Y) % cell < 1.5)).astype(np.float32)[..., None]
    return _mix(tiles, np.zeros(3, np.float32), grout * np.float32(0.75))


def watercolor(rgb: Floats, rng: Random) -> Floats:
    """Soft, light washes with a pale border."""
    wash = _mix(_soft(rgb, rng.uniform(0.8, 1.3)), WHITE, np.float32(rng.uniform(0.18, 0.3)))
    border = np.maximum(np.abs(_X - 31.5), np.abs(_Y - 31.5)) + 1.5 * np.sin(_X / 4 + _Y / 5)
    return _mix(wash, WHITE, np.clip((border - 24) / 8, 0, 0.9)[..., None].astype(np.float32))


def poster(rgb: Floats, rng: Random) -> Floats:
    """Flat strong colours, three or four steps a channel."""
    return _levels(_colourful(_soft(rgb, 0.6), rng.uniform(1.1, 1.5)), int(rng.choice([3, 4])))


def comic(rgb: Floats, rng: Random) -> Floats:
    """Bright colours with thick black outlines."""
    bright = _levels(_colourful(rgb, rng.uniform(1.2, 1.5)), 5)
    lines = _soft(np.repeat(_edges(rgb), 3, axis=-1), 0.7)
    return _mix(bright, np.zeros(3, np.float32), np.clip(1.4 * lines - 0.25, 0, 1))


def halftone(rgb: Floats, rng: Random) -> Floats:
    """Pale print with dark dots that grow where it is dark."""
    period = float(rng.choice([5.0, 6.0]))
    radius = np.sqrt(1 - (_soft(rgb, 1.5) @ _LUMA)) * period * 0.42
    distance = np.hypot(_X % period - period / 2 + 0.5, _Y % period - period / 2 + 0.5)
    dots = np.clip(radius - distance + 0.5, 0, 1)[..., None].astype(np.float32)
    pale = _mix(_colourful(rgb, 1.4), WHITE, np.float32(0.35))
    return _mix(pale, pale * np.float32(0.5), dots)


def blueprint(rgb: Floats, _: Random) -> Floats:
    """Novel: white contours and pale blue areas on deep blue paper with a faint grid."""
    paper, pale = np.array([0.07, 0.2, 0.55], np.float32), np.array([0.45, 0.65, 0.95], np.float32)
    grid = ((_X % 8 < 1) | (_Y % 8 < 1)).astype(np.float32)[..., None] * np.float32(0.15)
    tone = _mix(_mix(paper, pale, (rgb @ _LUMA)[..., None] * np.float32(0.45)), WHITE, grid)
    return _mix(tone, WHITE, _edges(rgb) * np.float32(0.9))


FILTERS: dict[str, Callable[[Floats, Random], Floats]] = {
    "pixel art": pixel_art, "sketch": sketch, "mosaic": mosaic, "watercolor": watercolor,
    "poster": poster, "comic": comic, "halftone": halftone,
}  # fmt: skip
OWN_FILTERS: dict[str, Callable[[Floats, Random], Floats]] = {
    "pixel art": own_pixel_art, "sketch": own_sketch, "mosaic": own_mosaic,
    "blueprint": blueprint,
}  # fmt: skip


def stylise(
    pixels: NDArray[np.uint8], word: str, rng: Random, individual: bool
) -> NDArray[np.uint8]:
    """A scene in a style.

    Args:
        pixels: [64, 64, 3].
        word: a style class.
        rng: chooses among the class's variants.
        individual: use the filter of the class's individual.
    Returns:
        [64, 64, 3].
    """
    filters = OWN_FILTERS if individual else FILTERS
    drawn = filters[word](_unit(pixels), rng)
    return (np.clip(drawn, 0, 1) * 255 + 0.5).astype(np.uint8)
