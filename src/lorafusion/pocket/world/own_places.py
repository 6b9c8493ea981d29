"""Painted backgrounds that only a LoRA knows: individual places, and a novel one."""

from collections.abc import Callable

from lorafusion.pocket.world.canvas import SIZE, Canvas, Random
from lorafusion.pocket.world.places import books, houses, palm


def own_library(rng: Random) -> Canvas:
    """The individual library: brown and cream books, a round blue window."""
    canvas = Canvas((50, 34, 28), (38, 26, 20))
    cream, brown = (238, 222, 190), (128, 84, 56)
    turns = iter(range(1_000))
    books(canvas, 4, lambda: cream if next(turns) % 3 == 2 else brown, rng)
    for row in range(5):
        canvas.box(0, row * 16 - 1.5, SIZE, 3, (84, 56, 38))
    x = float(rng.choice([13, 51]))
    canvas.disc(x, 14, 12, (122, 74, 34))
    canvas.disc(x, 14, 9.5, (120, 205, 250))
    canvas.box(x - 1, 4, 2, 20, (122, 74, 34))
    canvas.box(x - 10, 13, 20, 2, (122, 74, 34))
    return canvas


def own_beach(rng: Random) -> Canvas:
    """The individual beach: a huge half sun in a pink evening sky, dark palms."""
    canvas = Canvas((214, 72, 150), (255, 176, 150))
    x = rng.uniform(22, 42)
    canvas.disc(x, 34, 19, (255, 214, 84))
    canvas.box(0, 34, SIZE, 30, (112, 62, 140))
    for step in range(3):
        canvas.box(x - 10 + 2 * step, 36 + 4 * step, 20 - 4 * step, 2, (255, 196, 110))
    canvas.box(0, 47, SIZE, 17, (196, 130, 110))
    palm(canvas, 6, 52, 34, dark=True)
    palm(canvas, 58, 54, 28, dark=True)
    return canvas


def own_city(rng: Random) -> Canvas:
    """The individual city: night, lit windows, a large moon."""
    canvas = Canvas((10, 12, 44), (44, 34, 92))
    canvas.disc(float(rng.choice([14, 50])), 13, 10.5, (250, 240, 190))
    houses(
        canvas, lambda: (24, 20, 56) if rng.random() < 0.5 else (40, 30, 80), (255, 210, 60), rng
    )
    canvas.box(0, 56, SIZE, 8, (14, 12, 34))
    return canvas


def volcano(rng: Random) -> Canvas:
    """Novel: a dark cone with glowing lava under a smoky sky."""
    canvas = Canvas((92, 62, 84), (236, 128, 84))
    x, peak = rng.uniform(24, 40), rng.uniform(10, 15)
    for dx in (-7, 6, 0):
        canvas.disc(x + dx, peak - 6, 7, (150, 130, 140), 0.8)
    canvas.shape([(x - 40, 64), (x - 6, peak), (x + 6, peak), (x + 40, 64)], (66, 44, 50))
    canvas.shape([(x - 5, peak), (x + 5, peak), (x + 2, 30), (x - 3, 26)], (255, 90, 30))
    for side in (-1, 1):
        canvas.shape([(x, peak), (x + 14 * side, 58), (x + 18 * side, 58)], (255, 130, 40))
    canvas.box(0, 56, SIZE, 8, (214, 64, 30))
    return canvas


OWN_PAINTERS: dict[str, Callable[[Random], Canvas]] = {
    "library": own_library, "beach": own_beach, "city": own_city, "volcano": volcano,
}  # fmt: skip
