"""Painted backgrounds of the classes that the base knows."""

from collections.abc import Callable

import numpy as np

from lorafusion.pocket.world.canvas import SIZE, Canvas, Ink, Number, Random, ink


def _near(centre: Number, spread: Number, rng: Random) -> float:
    return float(rng.normal(centre, spread))


def plain(rng: Random) -> Canvas:
    """An empty light wall, for scenes without a background."""
    shade = rng.uniform(0, 360)
    light = rng.uniform(0.86, 0.97)
    return Canvas(ink(shade, light, 0.3), ink(shade, light - 0.05, 0.3))


def library(rng: Random) -> Canvas:
    """Shelves full of books."""
    wood = rng.uniform(0, 360)
    canvas = Canvas(ink(wood, 0.2, 0.3), ink(wood, 0.14, 0.3))
    centre, spread = rng.uniform(90, 300), rng.uniform(20, 60)
    rows = int(rng.integers(3, 5))
    books(canvas, rows, lambda: ink(_near(centre, spread, rng), rng.uniform(0.35, 0.6), 0.5), rng)
    for row in range(rows + 1):
        canvas.box(0, row * SIZE / rows - 1.5, SIZE, 3, ink(wood, 0.42, 0.5))
    return canvas


def books(canvas: Canvas, rows: int, fill: Callable[[], Ink], rng: Random) -> None:
    """Rows of standing books."""
    height = SIZE / rows
    for row in range(rows):
        x = -rng.uniform(0, 4)
        while x < SIZE:
            width, tall = rng.uniform(3.5, 7), height * rng.uniform(0.6, 0.88)
            canvas.box(x, (row + 1) * height - 1 - tall, width - 0.5, tall, fill())
            x += width


def beach(rng: Random) -> Canvas:
    """Sky, sea and sand by day."""
    sky = _near(195, 18, rng)
    canvas = Canvas(ink(sky, 0.6, 0.7), ink(sky, 0.88, 0.5))
    line, sand = rng.uniform(26, 34), rng.uniform(40, 48)
    canvas.box(0, line, SIZE, SIZE, ink(_near(195, 20, rng), rng.uniform(0.38, 0.55), 0.7))
    canvas.box(0, sand, SIZE, SIZE, ink(_near(45, 12, rng), rng.uniform(0.72, 0.85), 0.5))
    if rng.random() < 0.6:
        canvas.disc(rng.uniform(6, 58), rng.uniform(6, 14), rng.uniform(4, 6), (255, 232, 90))
    if rng.random() < 0.7:
        palm(canvas, float(rng.choice([7, 57])), sand + 5, rng.uniform(26, 34))
    return canvas


def palm(canvas: Canvas, x: Number, foot: Number, tall: Number, dark: bool = False) -> None:
    """A palm tree on its foot."""
    trunk, leaf = ((70, 30, 50), (60, 25, 60)) if dark else ((130, 85, 45), (45, 140, 70))
    canvas.box(x - 1.2, foot - tall, 2.6, tall, trunk)
    for dx, dy in ((-10, 3), (-8, -4), (0, -6), (8, -4), (10, 3)):
        tip = (x + dx, foot - tall + dy)
        canvas.shape([(x, foot - tall - 2.5), tip, (x, foot - tall + 2)], leaf)


def forest(rng: Random) -> Canvas:
    """Fir trees on a meadow."""
    green, sky = _near(125, 22, rng), _near(170, 40, rng)
    canvas = Canvas(ink(sky, 0.78, 0.4), ink(green, 0.7, 0.4))
    canvas.box(0, rng.uniform(36, 44), SIZE, SIZE, ink(green, rng.uniform(0.35, 0.5), 0.6))
    for x in np.arange(-2, SIZE, rng.uniform(9, 14)) + rng.uniform(0, 6):
        foot, tall = rng.uniform(40, 48), rng.uniform(22, 36)
        fill = ink(green + rng.uniform(-12, 12), rng.uniform(0.2, 0.36), 0.7)
        canvas.box(x - 1.2, foot - 3, 2.4, 6, (92, 62, 40))
        for step in range(3):
            low, half = foot - step * tall * 0.27, 7.5 - 1.6 * step
            canvas.shape([(x - half, low), (x, low - tall * 0.45), (x + half, low)], fill)
    return canvas


def city(rng: Random) -> Canvas:
    """Houses with windows under a day sky."""
    sky, wall = rng.uniform(0, 360), rng.uniform(0, 360)
    canvas = Canvas(ink(sky, 0.75, 0.5), ink(sky, 0.92, 0.35))
    window = ink(rng.uniform(150, 330), 0.85, 0.4)
    houses(canvas, lambda: ink(wall, rng.uniform(0.35, 0.62), 0.35), window, rng)
    canvas.box(0, 56, SIZE, 8, ink(wall, 0.3, 0.1))
    return canvas


def houses(canvas: Canvas, fill: Callable[[], Ink], window: Ink, rng: Random) -> None:
    """A street of houses with windows."""
    x = -rng.uniform(0, 6)
    while x < SIZE:
        width, roof = rng.uniform(11, 17), rng.uniform(6, 28)
        canvas.box(x, roof, width - 1, SIZE, fill())
        for wy in np.arange(roof + 3, 54, 6):
            for wx in np.arange(x + 2, x + width - 4, 5):
                canvas.box(wx, wy, 2.8, 3.4, window)
        x += width


def desert(rng: Random) -> Canvas:
    """Dunes and cacti."""
    sand, sky = _near(35, 10, rng), _near(30, 22, rng)
    canvas = Canvas(ink(sky, 0.72, 0.6), ink(sky, 0.88, 0.5))
    line = rng.uniform(30, 40)
    canvas.disc(rng.uniform(0, 30), line + 22, 40, ink(sand, 0.62, 0.6), 0.5)
    canvas.disc(rng.uniform(34, 64), line + 26, 44, ink(sand, 0.54, 0.6), 0.5)
    canvas.box(0, line + 18, SIZE, SIZE, ink(sand, 0.5, 0.6))
    for x in (rng.uniform(3, 14), rng.uniform(50, 61)):
        foot, tall = line + rng.uniform(6, 16), rng.uniform(14, 22)
        fill = ink(_near(125, 15, rng), rng.uniform(0.3, 0.45), 0.6)
        canvas.box(x - 1.7, foot - tall, 3.4, tall, fill)
        canvas.box(x - 6, foot - tall * 0.5, 12, 2.6, fill)
        canvas.box(x - 6, foot - tall * 0.8, 2.6, tall * 0.35, fill)
        canvas.box(x + 3.4, foot - tall * 0.8, 2.6, tall * 0.35, fill)
    return canvas


def snow(rng: Random) -> Canvas:
    """White hills and falling flakes."""
    sky = _near(210, 18, rng)
    canvas = Canvas(ink(sky, rng.uniform(0.45, 0.65), 0.5), ink(sky, 0.85, 0.4))
    line = rng.uniform(40, 46)
    canvas.disc(rng.uniform(5, 25), line + 18, 34, ink(sky, 0.9, 0.3), 0.62)
    canvas.disc(rng.uniform(40, 60), line + 22, 38, ink(sky, 0.97, 0.2), 0.62)
    for _ in range(int(rng.integers(14, 22))):
        canvas.disc(rng.uniform(0, SIZE), rng.uniform(0, SIZE - 20), 1.3, (255, 255, 255))
    return canvas


def space(rng: Random) -> Canvas:
    """Stars and a ringed planet on a dark sky."""
    sky = _near(265, 30, rng)
    canvas = Canvas(ink(sky, 0.08, 0.3), ink(sky, 0.2, 0.4))
    for _ in range(int(rng.integers(16, 26))):
        canvas.disc(rng.uniform(0, SIZE), rng.uniform(0, SIZE), 0.9, (255, 255, 240))
    x, y, radius = float(rng.choice([12, 52])), rng.uniform(9, 16), rng.uniform(6, 9)
    shade = rng.uniform(0, 360)
    canvas.disc(x, y, radius * 1.7, ink(shade + 40, 0.7, 0.5), 0.3)
    canvas.disc(x, y, radius, ink(shade, 0.55, 0.8))
    return canvas


def sea(rng: Random) -> Canvas:
    """Water from below, with weeds and bubbles."""
    water = _near(190, 18, rng)
    canvas = Canvas(ink(water, 0.6, 0.7), ink(water + 20, 0.22, 0.7))
    canvas.box(0, 57, SIZE, 7, ink(_near(45, 15, rng), 0.55, 0.5))
    for x in (rng.uniform(2, 10), rng.uniform(11, 18), rng.uniform(46, 53), rng.uniform(54, 62)):
        weed, tall = ink(_near(135, 30, rng), 0.4, 0.8), rng.uniform(16, 30)
        for step in range(6):
            canvas.disc(x + (step % 2) * 2.4 - 1.2, 58 - tall * step / 6, 2.6, weed, 1.3)
    for _ in range(9):
        canvas.disc(rng.uniform(0, SIZE), rng.uniform(0, 50), rng.uniform(1, 2), (205, 240, 250))
    return canvas


PAINTERS: dict[str, Callable[[Random], Canvas]] = {
    "": plain, "library": library, "beach": beach, "forest": forest, "city": city,
    "desert": desert, "snow": snow, "space": space, "sea": sea,
}  # fmt: skip
