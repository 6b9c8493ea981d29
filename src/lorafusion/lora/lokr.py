"""LoKr: the Kronecker product of two matrices.

Yeh et al., "Navigating Text-To-Image Customization: From LyCORIS Fine-Tuning to Model Evaluation",
arXiv:2309.14859, section 3.3, as in LyCORIS, lycoris/functional/lokr.py: delta = scale · w1 ⊗ w2, where
scale is alpha / r, or 1 when neither matrix is decomposed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.lora import shapes
from lorafusion.lora.dense import Dense


@dataclass(frozen=True, eq=False)
class LoKr:
    """A change of one weight as a Kronecker product.

    Attributes:
        w1: [a, b]; decomposed ones are multiplied when they are read.
        w2: [c, d · kernel], likewise; out = a · c and in = b · d.
        scale: alpha / r, or 1 when neither was decomposed.
        shape: of the weight; [out, in · kernel] until `fitted` where a file does not say the kernel.
        rank: r of what was decomposed, 0 when nothing was.
    """

    kind: ClassVar[str] = "LoKr"

    w1: Float[Tensor, "a b"]
    w2: Float[Tensor, "c d"]
    scale: float
    shape: tuple[int, ...]
    rank: int = 0

    def dense(self, dtype: torch.dtype = torch.float32) -> Float[Tensor, "o i *k"]:
        """The change itself, scale included, computed in `dtype`."""
        product = torch.kron(self.w1.to(dtype).contiguous(), self.w2.to(dtype).contiguous())
        return (product * self.scale).reshape(self.shape)

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
        """
        high = self.w2.shape[0]
        if start % high or stop % high:
            return Dense(self.dense()[start:stop])
        w1 = self.w1[start // high : stop // high]
        return replace(self, w1=w1, shape=(stop - start, *self.shape[1:]))
