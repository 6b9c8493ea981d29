"""LoHa: the elementwise product of two low-rank matrices.

Hyeon-Woo et al., "FedPara: Low-Rank Hadamard Product", arXiv:2108.06098, proposition 2, as in
LyCORIS, lycoris/functional/loha.py: delta = (alpha / r) · (w1_a @ w1_b) * (w2_a @ w2_b).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.lora import shapes


@dataclass(frozen=True, eq=False)
class LoHa:
    """A change of one weight as the elementwise product of two products of thin matrices.

    Attributes:
        w1_a: [out, r].
        w1_b: [r, in · kernel].
        w2_a: [out, q].
        w2_b: [q, in · kernel].
        scale: alpha / r.
        shape: of the weight; [out, in · kernel] until `fitted`, because files do not say the kernel.
    """

    kind: ClassVar[str] = "LoHa"

    w1_a: Float[Tensor, "o r"]
    w1_b: Float[Tensor, "r n"]
    w2_a: Float[Tensor, "o q"]
    w2_b: Float[Tensor, "q n"]
    scale: float
    shape: tuple[int, ...]

    @property
    def rank(self) -> int:
        """The rank r of each factor; the change itself may have up to r²."""
        return self.w1_b.shape[0]

    def dense(self, dtype: torch.dtype = torch.float32) -> Float[Tensor, "o i *k"]:
        """The change itself, scale included, computed in `dtype`."""
        one = self.w1_a.to(dtype) @ self.w1_b.to(dtype)
        two = self.w2_a.to(dtype) @ self.w2_b.to(dtype)
        return (one * two * self.scale).reshape(self.shape)

    def fitted(self, shape: tuple[int, ...]) -> LoHa:
        """The same delta for a weight of the same matrix [out, in · kernel].

        Raises:
            WrongBase: the matrices differ in shape.
        """
        shapes.check_flat(self.shape, shape)
        return replace(self, shape=shape)

    def rows(self, start: int, stop: int) -> LoHa:
        """The change of the weight's rows from `start` to before `stop`: exact."""
        return replace(
            self,
            w1_a=self.w1_a[start:stop],
            w2_a=self.w2_a[start:stop],
            shape=(stop - start, *self.shape[1:]),
        )
