"""Examples: the pictures that a LoRA learns from, with what each shows in words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from lorafusion.errors import BadOption, UnreadableFile

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


@dataclass(frozen=True)
class Example:
    """One picture and its caption.

    Attributes:
        path: the image file.
        caption: what it shows.
    """

    path: Path
    caption: str


def read_examples(folder: Path, prompt: str = "") -> list[Example]:
    """The images of a folder, by name; the caption of ``dog.png`` is in ``dog.txt``.

    Args:
        folder: of the user.
        prompt: the caption of images without such a file (DreamBooth's instance prompt); "" for none.

    Raises:
        UnreadableFile: no such folder, no image in it, or a caption that is not UTF-8.
        BadOption: an image has no caption, and there is no prompt.
    """
    if not folder.is_dir():
        raise UnreadableFile(f"{folder}: is not a folder; give one that holds the images")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
    if not paths:
        raise UnreadableFile(
            f"{folder}: holds no image; expected files ending in {', '.join(ENDINGS)}"
        )
    return [Example(path, _caption(path, prompt)) for path in paths]


def pictures(shown: Sequence[Example], size: int) -> Float[Tensor, "n 3 h w"]:
    """Square RGB pictures, -1 to 1: the shorter side made `size` long, the middle of the longer one kept.

    Raises:
        UnreadableFile: a file is no image, or is cut short.
        BadOption: an image is smaller than `size`.
    """
    return torch.stack([_picture(one.path, size) for one in shown])


def digest(shown: Sequence[Example]) -> str:
    """sha256 over the files and captions, in their order."""
    found = hashlib.sha256()
    for one in shown:
        found.update(hashlib.sha256(one.path.read_bytes()).digest())
        found.update(hashlib.sha256(one.caption.encode()).digest())
    return found.hexdigest()


def _caption(path: Path, prompt: str) -> str:
    beside = path.with_suffix(".txt")
    try:
        text = " ".join(beside.read_text(encoding="utf-8-sig").split()) if beside.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"{beside}: cannot be read as UTF-8 text ({error})") from error
    if not (text or prompt.strip()):
        raise BadOption(
            f"{path}: has no caption; write it into {beside.name} beside it, or give a prompt for all"
        )
    return text or prompt.strip()


def _picture(path: Path, size: int) -> Float[Tensor, "3 h w"]:
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file).convert("RGB")
    except UnidentifiedImageError:
        raise UnreadableFile(f"{path}: is not an image; remove it or save it anew") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        why = " ".join(str(error).split())
        raise UnreadableFile(f"{path}: cannot be read as an image ({why}); save it anew") from error
    if min(image.size) < size:
        raise BadOption(
            f"{path}: is {image.width}x{image.height}, smaller than the {size} pixels that are trained with; "
            f"give a larger image or a size of {min(image.size)}"
        )
    square = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    pixels = torch.from_numpy(np.asarray(square, dtype=np.float32) / 127.5 - 1)
    return pixels.permute(2, 0, 1).contiguous()
