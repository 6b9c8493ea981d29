"""Header: what a safetensors file says before its tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Header:
    """What a file says before its tensors.

    Attributes:
        shapes: key -> shape.
        dtypes: key -> dtype as the container names it ("F16").
        metadata: the text that the file's maker put in.
        spans: key -> first byte, and the one behind the last, after the header.
    """

    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    metadata: Mapping[str, str]
    spans: Mapping[str, tuple[int, int]]

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of all tensors."""
        return tuple(self.shapes)

    def blanks(self) -> dict[str, Tensor]:
        """Tensors of these shapes without values (alphas are 1), to look at shapes only."""
        return {
            key: torch.ones(shape)
            if math.prod(shape) == 1 and key.endswith("alpha")
            else torch.empty(shape, device="meta")
            for key, shape in self.shapes.items()
        }
