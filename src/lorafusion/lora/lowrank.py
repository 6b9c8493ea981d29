"""LowRank: LoRA and LoCon, the product of two thin matrices.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", arXiv:2106.09685, section 4.1:
W = W0 + (alpha / r) · B A. Here A is `down`, B is `up` and alpha / r is `scale`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.lora import shapes


@dataclass(frozen=True, eq=False)
class LowRank:
    """A change of one weight as the product of two thin matrices.

    Attributes:
        down: [r, in] for linear layers, [r, in, kh, kw] for convolutions.
        up: [out, r] or [out, r, 1, 1].
        scale: alpha / r, folded in when the file was read.
    """

    kind: ClassVar[str] = "LoRA"

    down: Float[Tensor, "r i *k"]
    up: Float[Tensor, "o r *one"]
    scale: float

    @property
    def rank(self) -> int:
        """The number of directions r."""
        return self.down.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the weight that this delta is for: [out, in, *k]."""
        return (self.up.shape[0], *self.down.shape[1:])

    def dense(self, dtype: torch.dtype = torch.float32) -> Float[Tensor, "o i *k"]:
        """The change itself, scale included: scale · up @ down, computed in `dtype`."""
        product = self.up.to(dtype).flatten(1) @ self.down.to(dtype).flatten(1)
        return (product * self.scale).reshape(self.shape)

    def fitted(self, shape: tuple[int, ...]) -> LowRank:
        """The same delta for a weight that differs only by trailing kernel sizes of one.

        A projection may be a linear layer in one model and a 1x1 convolution in another;
        files of either are common for both.

        Raises:
            WrongBase: the shapes differ by more than that.
        """
        if self.shape == shape:
            return self
        shapes.check(self.shape, shape)
        tail = (1,) * (len(shape) - 2)
        return LowRank(
            self.down.reshape(self.rank, shape[1], *tail),
            self.up.reshape(shape[0], self.rank, *tail),
            self.scale,
        )

    def rows(self, start: int, stop: int) -> LowRank:
        """The change of the weight's rows from `start` to before `stop`: exact."""
        return replace(self, up=self.up[start:stop])


def tucker(
    core: Float[Tensor, "r s *k"], right: Float[Tensor, "s i *one"]
) -> Float[Tensor, "r i *k"]:
    """The kernel of a Tucker-decomposed convolution, folded into its right factor.

    A 1x1 convolution followed by a k x k one is a k x k one: sum_s core[r, s, k] · right[s, i], so that
    LoCon's ``lora_mid`` and the ``t1``, ``t2`` of LoHa and LoKr leave ordinary factors behind.

    Source: LyCORIS, lycoris/functional/general.py, `rebuild_tucker`.
    """
    return torch.einsum("rs...,si->ri...", shapes.wide(core), shapes.wide(right).flatten(1))
