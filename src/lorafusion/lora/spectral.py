"""Spectral: new singular values for a weight, its singular vectors staying as they are.

Han et al., "SVDiff: Compact Parameter Space for Diffusion Fine-Tuning", arXiv:2303.11305, equation 1:
W' = U diag(relu(sigma + delta)) V^T with W0 = U diag(sigma) V^T; a convolution is taken as [out, in · kernel].

As for DoRA, the change depends on the weight that it acts on, and at gate g it is g · (W' − W0).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.errors import UnreadTensors, WrongBase
from lorafusion.lora import shapes


@dataclass(frozen=True, eq=False)
class Spectral:
    """A shift of one weight's singular values.

    Attributes:
        shift: delta, [n], in the order of falling singular values; n is the lesser side.
        shape: of the weight, [out, in, *k].
    """

    kind: ClassVar[str] = "spectral shift"
    scale: ClassVar[float] = 1.0

    shift: Float[Tensor, " n"]
    shape: tuple[int, ...]

    @property
    def rank(self) -> int:
        """How many singular values are shifted."""
        return len(self.shift)

    def dense_on(
        self, weight: Float[Tensor, "out in *k"], dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "out in *k"]:
        """W' − W0 for this base weight W0; decomposed in float64, answered in `dtype`."""
        left, sizes, right = spectrum(weight)
        shift = self.shift.to(sizes)
        change = (left * ((sizes + shift).clamp(min=0) - sizes)) @ right
        return change.reshape(weight.shape).to(dtype)

    def fitted(self, shape: tuple[int, ...]) -> Spectral:
        """The same delta for a weight that differs only by trailing kernel sizes of one.

        Raises:
            WrongBase: the shapes differ by more than that, or there are not as many shifts as values.
        """
        shapes.check(self.shape, shape)
        count = min(shape[0], torch.Size(shape[1:]).numel())
        if self.rank != count:
            raise WrongBase(f"{self.rank} spectral shifts for the {count} values of {list(shape)}")
        return replace(self, shape=shape)

    def rows(self, start: int, stop: int) -> Spectral:
        """Refused: singular values belong to all rows together.

        Raises:
            UnreadTensors: always.
        """
        raise UnreadTensors(
            f"spectral shifts on a layer that diffusers splits, rows {start} to {stop}: the pieces have other "
            "singular values; train them on the diffusers model"
        )


def spectrum(
    weight: Float[Tensor, "out in *k"],
) -> tuple[Float[Tensor, "out n"], Float[Tensor, " n"], Float[Tensor, "n i"]]:
    """U, sigma and V^T of a weight as [out, in · kernel], in float64."""
    left, sizes, right = torch.linalg.svd(weight.double().flatten(1), full_matrices=False)
    return left, sizes, right
