"""Dense: the whole difference of a weight, a norm or a bias.

Source: LyCORIS, lycoris/modules/full.py and norms.py (``diff``, ``diff_b``, ``w_norm``, ``b_norm``):
W = W0 + diff. Nothing is decomposed and there is no alpha.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.lora import shapes


@dataclass(frozen=True, eq=False)
class Dense:
    """A change of one weight or bias, number by number.

    Attributes:
        change: [out, in, *k] for a weight, [n] for a norm's weight or a bias.
    """

    kind: ClassVar[str] = "full difference"
    scale: ClassVar[float] = 1.0
    rank: ClassVar[int] = 0

    change: Float[Tensor, "*shape"]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the weight or bias."""
        return tuple(self.change.shape)

    def dense(self, dtype: torch.dtype = torch.float32) -> Float[Tensor, "*shape"]:
        """The change itself, in `dtype`."""
        return self.change.to(dtype)

    def fitted(self, shape: tuple[int, ...]) -> Dense:
        """The same delta for a weight that differs only by trailing kernel sizes of one.

        Raises:
            WrongBase: the shapes differ by more than that.
        """
        if self.shape == shape:
            return self
        shapes.check(self.shape, shape)
        return Dense(self.change.reshape(shape))

    def rows(self, start: int, stop: int) -> Dense:
        """The change of the weight's rows from `start` to before `stop`: exact."""
        return Dense(self.change[start:stop])
