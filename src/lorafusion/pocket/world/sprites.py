"""Artwork: one emoji of the Noto Color Emoji font, changed to a look, as a small RGBA picture."""

import os
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from lorafusion.errors import UnreadableFile
from lorafusion.pocket.world.looks import Look, Marking

Floats: TypeAlias = NDArray[np.float32]

FONT_PLACES = (
    "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf",
    "/usr/share/fonts/noto/NotoColorEmoji.ttf",
    "/usr/share/fonts/google-noto-emoji/NotoColorEmoji.ttf",
    "/usr/share/fonts/noto-emoji/NotoColorEmoji.ttf",
)
_STRIKE = 109
"""The one size of the font's bitmaps."""
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def font_path() -> Path | None:
    """Where the emoji font is: $LORAFUSION_EMOJI_FONT or a usual place; None if nowhere."""
    places = [os.environ.get("LORAFUSION_EMOJI_FONT", ""), *FONT_PLACES]
    return next((Path(place) for place in places if place and Path(place).is_file()), None)


@lru_cache(maxsize=1)
def loaded_font() -> ImageFont.FreeTypeFont:
    """The emoji font at its one size.

    Raises:
        UnreadableFile: it is not installed.
    """
    path = font_path()
    if path is None:
        raise UnreadableFile(
            "the font NotoColorEmoji.ttf was not found; install fonts-noto-color-emoji (Debian) "
            "or set LORAFUSION_EMOJI_FONT to its path"
        )
    return ImageFont.truetype(str(path), _STRIKE)


@lru_cache(maxsize=128)
def artwork(emoji: str) -> Floats:
    """The bitmap of one emoji, cut to its content.

    Returns:
        [height, width, 4] in 0 to 1, not premultiplied.
    Raises:
        UnreadableFile: the emoji font is not installed.
    """
    canvas = Image.new("RGBA", (160, 150))
    ImageDraw.Draw(canvas).text((8, 8), emoji, font=loaded_font(), embedded_color=True)
    # Half the strike is still more than any scene needs, and four times as fast to paint.
    cut = canvas.crop(canvas.getbbox()).convert("RGBa").reduce(2).convert("RGBA")
    return np.asarray(cut, dtype=np.float32) / np.float32(255)


@lru_cache(maxsize=65536)
def sprite(look: Look, size: int, by_width: bool = False) -> Image.Image:
    """A look drawn at a size.

    Args:
        look: the appearance.
        size: pixels of the longer side, or of the width.
        by_width: whether size is the width.
    Returns:
        An RGBA picture; shared, so it must not be changed.
    """
    art = artwork(look.emoji)
    rgb = np.clip(_turned(art[..., :3], look.turn), 0, 1)
    rgb = _washed(rgb, look.tint, look.wash)
    rgb = _marked(rgb, look.marking, look.paint)
    picture = Image.fromarray(
        (np.concatenate([rgb, art[..., 3:]], axis=-1) * 255 + 0.5).astype(np.uint8)
    )
    height, width = art.shape[:2]
    wide, high = width * look.stretch**0.5, height / look.stretch**0.5
    factor = size * look.scale / (wide if by_width else max(wide, high))
    shape = max(2, round(wide * factor)), max(2, round(high * factor))
    # Resizing premultiplied keeps the transparent surroundings out of the edges.
    small = picture.convert("RGBa").resize(shape, Image.Resampling.BOX).convert("RGBA")
    return _outlined(small)


def _outlined(picture: Image.Image) -> Image.Image:
    """The picture on a white rim of one pixel, so that it stands out from whatever is behind it."""
    grown = Image.new("RGBA", (picture.width + 2, picture.height + 2))
    grown.paste(picture, (1, 1))
    rim = Image.new("RGBA", grown.size, (255, 255, 255, 0))
    rim.putalpha(grown.getchannel("A").filter(ImageFilter.MaxFilter(3)))
    return Image.alpha_composite(rim, grown)


def _turned(rgb: Floats, degrees: float) -> Floats:
    """Rotate hues about the grey axis."""
    if not degrees:
        return rgb
    angle = np.deg2rad(degrees)
    grey = (1 - np.cos(angle)) / 3
    side = np.sin(angle) / 3**0.5
    matrix = np.array(
        [
            [np.cos(angle) + grey, grey - side, grey + side],
            [grey + side, np.cos(angle) + grey, grey - side],
            [grey - side, grey + side, np.cos(angle) + grey],
        ],
        dtype=np.float32,
    )
    return cast("Floats", rgb @ matrix.T)


def hue(degrees: float | int) -> Floats:
    """The fully saturated colour of a hue, [3] in 0 to 1."""
    offsets = np.array([0, 120, 240], dtype=np.float32)
    distance = np.abs((degrees - offsets + 180) % 360 - 180)
    return np.clip(2 - distance / 60, 0, 1).astype(np.float32)


def _washed(rgb: Floats, tint: float, amount: float) -> Floats:
    if not amount:
        return rgb
    light = (rgb @ _LUMA)[..., None]
    return cast("Floats", rgb * (1 - amount) + amount * light * (0.35 + 0.75 * hue(tint))).clip(
        0, 1
    )


def _marked(rgb: Floats, marking: Marking, paint: tuple[int, int, int]) -> Floats:
    if marking == "plain":
        return rgb
    height, width = rgb.shape[:2]
    v = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height
    u = (np.arange(width, dtype=np.float32)[None, :] + 0.5) / width
    mask = _pattern(marking, u, v)[..., None]
    # Dark features such as eyes stay readable: the paint follows the artwork's lightness.
    light = (0.25 + 0.95 * (rgb @ _LUMA)[..., None]).clip(0, 1)
    painted = np.array(paint, dtype=np.float32) / 255 * light
    return cast("Floats", np.where(mask, 0.12 * rgb + 0.88 * painted, rgb)).astype(np.float32)


def _pattern(marking: Marking, u: Floats, v: Floats) -> NDArray[np.bool_]:
    """Where a marking is painted, [height, width], for coordinates u [1, width], v [height, 1]."""
    even = u * 0 + v * 0
    match marking:
        case "bands":
            return (even + np.floor(v * 5)) % 2 == 1
        case "bars":
            return (even + np.floor(u * 5)) % 2 == 1
        case "checks":
            return (np.floor(u * 4) + np.floor(v * 4)) % 2 == 1
        case "slant":
            return np.floor((u + v) * 3.5) % 2 == 1
        case "halves":
            return (even + v) > 0.55
        case _:
            row = np.floor(v * 3.5)
            du, dv = (u * 3.5 + 0.5 * (row % 2)) % 1 - 0.5, (v * 3.5) % 1 - 0.5
            return du**2 + dv**2 < 0.105
