"""LoKr: the Kronecker product of two matrices.

Yeh et al., "Navigating Text-To-Image Customization: From LyCORIS Fine-Tuning to Model Evaluation",
arXiv:2309.14859, section 3.3, as in LyCORIS, lycoris/functional/lokr.py: delta = scale · w1 ⊗ w2, where
scale is alpha / r, or 1 when neither matrix is decomposed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.errors import UnreadTensors
from lorafusion.lora import shapes
from lorafusion.lora.dense import Dense

_LARGEST = 2**28
"""Numbers in a weight; the largest layers that are known have half of that."""


@dataclass(frozen=True, eq=False)
class LoKr:
    """A change of one weight as a Kronecker product.

    Decomposed matrices stay as they are in the file, so that reading a small file stays small.

    Attributes:
        w1: [a, b], or [a, r] of a decomposed one.
        w2: [c, d · kernel], or [c, r]; out = a · c and in = b · d.
        scale: alpha / r, or 1 when neither was decomposed.
        shape: of the weight; [out, in · kernel] until `fitted` where a file does not say the kernel.
        right1: [r, b] where the first is decomposed.
        right2: [r, d · kernel] where the second is.
    """

    kind: ClassVar[str] = "LoKr"

    w1: Float[Tensor, "a _b"]
    w2: Float[Tensor, "c _d"]
    scale: float
    shape: tuple[int, ...]
    right1: Float[Tensor, "_r b"] | None = None
    right2: Float[Tensor, "_q d"] | None = None

    @property
    def rank(self) -> int:
        """r of what is decomposed, 0 when nothing is."""
        right = self.right1 if self.right2 is None else self.right2
        return 0 if right is None else right.shape[0]

    def dense(self, dtype: torch.dtype = torch.float32) -> Float[Tensor, "o i *k"]:
        """The change itself, scale included, computed in `dtype`."""
        one, two = _whole(self.w1, self.right1, dtype), _whole(self.w2, self.right2, dtype)
        return (torch.kron(one, two) * self.scale).reshape(self.shape)

    def fitted(self, shape: tuple[int, ...]) -> LoKr:
        """The same delta for a weight of the same matrix [out, in · kernel].

        Raises:
            WrongBase: the matrices differ in shape.
        """
        shapes.check_flat(self.shape, shape)
        return replace(self, shape=shape)

    def rows(self, start: int, stop: int) -> LoKr | Dense:
        """The change of the weight's rows from `start` to before `stop`: exact.

        Where the cut goes through a copy of w2, there is no Kronecker product of it and the piece is
        formed in full.

        Raises:
            UnreadTensors: such a piece would be larger than the layers of any model.
        """
        high = self.w2.shape[0]
        if start % high or stop % high:
            if math.prod(self.shape) > _LARGEST:
                raise UnreadTensors(
                    f"LoKr of shape {list(self.shape)} on a layer that diffusers splits is too large to "
                    "be cut; the file is damaged or of another model"
                )
            return Dense(self.dense()[start:stop])
        w1 = self.w1[start // high : stop // high]
        return replace(self, w1=w1, shape=(stop - start, *self.shape[1:]))


def _whole(left: Tensor, right: Tensor | None, dtype: torch.dtype) -> Tensor:
    left = left.to(dtype)
    return (left if right is None else left @ right.to(dtype)).contiguous()
