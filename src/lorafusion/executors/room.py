"""Room: memory in one piece for the stacks of all layers."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from lorafusion.spare import SPARE

Kind = tuple[torch.device, torch.dtype]
_LINE = 64
"""Bytes that tensors start at a multiple of, as torch's own do."""


class Room:
    """Memory for tensors whose shapes are known before.

    Args:
        wanted: (device, dtype) and shape of every tensor that will be taken.
    """

    def __init__(self, wanted: Iterable[tuple[Kind, tuple[int, ...]]]) -> None:
        sizes: dict[Kind, int] = {}
        for kind, shape in wanted:
            sizes[kind] = sizes.get(kind, 0) + _rounded(math.prod(shape), kind[1])
        self._whole = {kind: _piece(kind, size) for kind, size in sizes.items()}
        self._taken = dict.fromkeys(sizes, 0)

    def take(self, kind: Kind, shape: tuple[int, ...]) -> Tensor:
        """The next tensor of this kind, with whatever is in its memory."""
        size, start = math.prod(shape), self._taken[kind]
        self._taken[kind] += _rounded(size, kind[1])
        return self._whole[kind].narrow(0, start, size).view(shape)


def _rounded(size: int, dtype: torch.dtype) -> int:
    step = max(_LINE // dtype.itemsize, 1)
    return -(-size // step) * step


def _piece(kind: Kind, size: int) -> Tensor:
    device, dtype = kind
    if device.type != "cpu":
        return torch.empty(size, device=device, dtype=dtype)  # torch itself keeps a device's memory
    return torch.from_numpy(SPARE.take(max(size, 1) * dtype.itemsize)).view(dtype)
