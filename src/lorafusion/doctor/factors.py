"""Factors: a delta as up @ down in float64, and its geometry from r x r matrices.

With delta = U D, U [o, r] and D [r, n]:

    <U1 D1, U2 D2> = sum((U1ᵀ U2) * (D1 D2ᵀ))        Gram matrices, r1 x r2
    U D = (Qu Ru)(Qd Rd)ᵀ = Qu (Ru Rdᵀ) Qdᵀ           QR; the singular vectors follow from an r x r SVD

The overlap of two subspaces is the mean squared cosine of their principal angles (Björck and Golub,
"Numerical Methods for Computing Angles Between Linear Subspaces", Mathematics of Computation 27, 1973):
1 where one lies in the other, 0 where they are orthogonal.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.errors import BadOption, WrongBase
from lorafusion.lora import Delta, DoRA, LowRank, Spectral

NOTHING = 1e-12
"""Directions this much weaker than the strongest are rounding errors of the file's precision."""


@dataclass(frozen=True, eq=False)
class Factors:
    """A change of one weight as a product; the scale is in `up`.

    Attributes:
        up: [out, r], float64.
        down: [r, in · kernel], float64.
    """

    up: Float[Tensor, "o r"]
    down: Float[Tensor, "r n"]

    @property
    def shape(self) -> tuple[int, int]:
        """[out, in · kernel]."""
        return self.up.shape[0], self.down.shape[1]

    def norm(self) -> float:
        """The Frobenius norm of the change: the root of the sum of its squares."""
        left, right = self._triangles()
        return float((left @ right.T).norm())

    def inner(self, other: Factors) -> float:
        """The sum of the products of both changes' entries.

        Raises:
            WrongBase: they are for weights of different shapes.
        """
        self._check(other)
        return float(((self.up.T @ other.up) * (self.down @ other.down.T)).sum())

    def overlap(self, other: Factors) -> tuple[float, float]:
        """How much of the smaller subspace lies in the larger one: of inputs read, of outputs written.

        Both are from 0 to 1. A change of nothing overlaps with nothing.

        Raises:
            WrongBase: they are for weights of different shapes.
        """
        self._check(other)
        (read, written), (others_read, others_written) = self.spaces(), other.spaces()
        return _overlap(read, others_read), _overlap(written, others_written)

    def spaces(self) -> tuple[Float[Tensor, "n k"], Float[Tensor, "o k"]]:
        """Orthonormal bases of the inputs that it reads and the outputs that it writes.

        k is its true rank, at most r.
        """
        q_up, left = torch.linalg.qr(self.up)
        q_down, right = torch.linalg.qr(self.down.T)
        u, sizes, vh = torch.linalg.svd(left @ right.T)
        kept = sizes > NOTHING * sizes.amax() if len(sizes) else sizes.bool()
        return q_down @ vh[: len(sizes)].T[:, kept], q_up @ u[:, : len(sizes)][:, kept]

    def _triangles(self) -> tuple[Float[Tensor, "p r"], Float[Tensor, "q r"]]:
        # Squares of Gram matrices would lose half of the digits where factors nearly cancel.
        left = torch.linalg.qr(self.up, mode="r").R
        return left, torch.linalg.qr(self.down.T, mode="r").R

    def _check(self, other: Factors) -> None:
        if self.shape != other.shape:
            raise WrongBase(
                f"changes of weights of shapes {list(self.shape)} and {list(other.shape)}; "
                "the LoRAs are for different base models"
            )


def factors(delta: Delta) -> Factors:
    """A delta of any kind as a product, exactly.

    Low-rank ones are taken as they are. Any other kind is formed in full, for this one weight.
    A kind that depends on the base weight (DoRA) counts by its direction, before its lengths are set.

    Raises:
        BadOption: spectral shifts, whose directions are the base weight's alone.
    """
    if isinstance(delta, Spectral):
        raise BadOption(
            "spectral shifts act along the base weight's own directions, which are not known here; leave that "
            "LoRA out"
        )
    free = delta.direction if isinstance(delta, DoRA) else delta
    if isinstance(free, LowRank):
        up = free.up.to(torch.float64).flatten(1) * free.scale
        return Factors(up, free.down.to(torch.float64).flatten(1))
    change = free.dense(torch.float64)
    change = change.flatten(1) if change.ndim > 1 else change.reshape(-1, 1)
    rows, inputs = change.shape
    if rows < inputs:
        return Factors(torch.eye(rows, dtype=torch.float64), change)
    return Factors(change, torch.eye(inputs, dtype=torch.float64))


def _overlap(a: Float[Tensor, "n j"], b: Float[Tensor, "n k"]) -> float:
    smaller = min(a.shape[1], b.shape[1])
    return min(1.0, float((a.T @ b).square().sum()) / smaller) if smaller else 0.0
