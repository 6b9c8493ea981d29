"""Strips and the contact sheet: what each method makes of the same cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw

SIDE, GAP, HEAD, ACROSS = 96, 4, 16, 3
GREY = (225, 225, 225)


def strip(pictures: Sequence[Image.Image | None], side: int = SIDE) -> Image.Image:
    """Pictures side by side, enlarged; a grey field where a method takes no such case."""
    made = Image.new("RGB", (len(pictures) * (side + GAP) - GAP, side), "white")
    for place, picture in enumerate(pictures):
        shown = picture or Image.new("RGB", (8, 8), GREY)
        made.paste(shown.resize((side, side), Image.Resampling.NEAREST), (place * (side + GAP), 0))
    return made


def sheet(strips: Mapping[str, Image.Image]) -> Image.Image:
    """The strips of all methods, under their names."""
    width = max(each.width for each in strips.values()) + 4 * GAP
    height = SIDE + HEAD + 2 * GAP
    down = -(-len(strips) // ACROSS)
    made = Image.new("RGB", (ACROSS * width, down * height), "white")
    pen = ImageDraw.Draw(made)
    for place, (name, each) in enumerate(strips.items()):
        x, y = place % ACROSS * width + 2 * GAP, place // ACROSS * height
        pen.text((x, y + 2), name, fill="black")
        made.paste(each, (x, y + HEAD))
    return made


def small(picture: Image.Image) -> Image.Image:
    """In 128 colours of its own, for a small file."""
    return picture.quantize(128, dither=Image.Dither.NONE)
