"""Concept: pictures of a penguin, which neither pocket nor any of its LoRAs knows, as a user's folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from lorafusion.errors import UnreadableFile
from lorafusion.pocket import world

EMOJI = "🐧"
CLASS = "penguin"
TRIGGER = "pingano penguin"
DESCRIPTION = "a black and white penguin with a yellow beak and yellow feet"
_STRIKE = 109
"""The one size of the font's bitmaps."""
_RIM = (255, 255, 255, 0)


def write_folder(folder: Path, count: int, seed: int) -> None:
    """Write `count` pictures, each with its caption beside it.

    Args:
        folder: made if it is missing.
        count: of pictures; places take turns.
        seed: of sizes, positions and looks of the places.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image, place = picture(seed, number)
        image.save(folder / f"{number:02d}.png")
        # The class word alone in every other caption, so that both call the penguin.
        name = TRIGGER if number % 2 else CLASS
        (folder / f"{number:02d}.txt").write_text(f"a {name} {place}".strip() + "\n")


def picture(seed: int, number: int) -> tuple[Image.Image, str]:
    """One picture of 64 by 64 pixels, and the words for its place, "" for a plain ground."""
    draw = np.random.default_rng([seed, number])
    place = ("", *world.words("background"))[number % 9]
    ground = world.Element(place, int(draw.integers(1000))) if place else None
    scene = world.Scene(int(draw.integers(1 << 30)), background=ground)
    image = Image.fromarray(world.render(scene))
    drawn = _sprite(int(draw.integers(36, 42)))
    x, y = 32 + draw.uniform(-4, 4), 35 + draw.uniform(-2.5, 2.5)
    image.paste(drawn, (round(x - drawn.width / 2), round(y - drawn.height / 2)), drawn)
    return image, world.KINDS[place].phrase if place else ""


def _sprite(size: int) -> Image.Image:
    """The artwork with its longer side made `size`, on a white rim as everything in pocket's world.

    Raises:
        UnreadableFile: the emoji font is not installed.
    """
    path = world.font_path()
    if path is None:
        raise UnreadableFile(
            "the font NotoColorEmoji.ttf was not found; install fonts-noto-color-emoji (Debian) "
            "or set LORAFUSION_EMOJI_FONT to its path"
        )
    canvas = Image.new("RGBA", (160, 150))
    font = ImageFont.truetype(str(path), _STRIKE)
    ImageDraw.Draw(canvas).text((8, 8), EMOJI, font=font, embedded_color=True)
    art = canvas.crop(canvas.getbbox())
    factor = size / max(art.size)
    shape = (round(art.width * factor), round(art.height * factor))
    # Resizing premultiplied keeps the transparent surroundings out of the edges.
    small = art.convert("RGBa").resize(shape, Image.Resampling.BOX).convert("RGBA")
    grown = Image.new("RGBA", (small.width + 2, small.height + 2))
    grown.paste(small, (1, 1))
    rim = Image.new("RGBA", grown.size, _RIM)
    rim.putalpha(grown.getchannel("A").filter(ImageFilter.MaxFilter(3)))
    return Image.alpha_composite(rim, grown)
