"""What scorers look at: PIL images or arrays, as one batch of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lorafusion.errors import BadOption

SIZE = 64

Pictures: TypeAlias = Sequence[Image.Image] | NDArray[np.uint8]
"""PIL images of any one size, or bytes [n, 64, 64, 3]."""


def batch(pictures: Pictures) -> Float[Tensor, "n 3 64 64"]:
    """Pictures in -1 to 1.

    Args:
        pictures: PIL images of 64 by 64 pixels, or bytes [n, 64, 64, 3].

    Raises:
        BadOption: another size or type of pictures.
    """
    given = pictures if isinstance(pictures, np.ndarray) else _stacked(pictures)
    if given.dtype != np.uint8 or given.ndim != 4 or given.shape[1:] != (SIZE, SIZE, 3):
        raise BadOption(
            f"pictures are {given.dtype} of shape {list(given.shape)}; scorers of pocket read PIL "
            f"images of {SIZE}x{SIZE} pixels or uint8 arrays [n, {SIZE}, {SIZE}, 3]"
        )
    return torch.from_numpy(given.transpose(0, 3, 1, 2).copy()).float() / 127.5 - 1


def _stacked(pictures: Sequence[Image.Image]) -> NDArray[np.uint8]:
    for place, picture in enumerate(pictures):
        if not isinstance(picture, Image.Image) or picture.size != (SIZE, SIZE):
            seen = f"{picture.width}x{picture.height}" if isinstance(picture, Image.Image) else ""
            raise BadOption(
                f"picture {place} is {seen or type(picture).__name__}; scorers of pocket read PIL "
                f"images of {SIZE}x{SIZE} pixels or uint8 arrays [n, {SIZE}, {SIZE}, 3]"
            )
    rows = [np.asarray(picture.convert("RGB")) for picture in pictures]
    return np.stack(rows) if rows else np.zeros((0, SIZE, SIZE, 3), np.uint8)
