"""The alpha that a file stores for a scale: alpha / rank shall give the very same number back."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.errors import BadOption


def alpha_of(scale: float, rank: int) -> float:
    """The alpha whose quotient with `rank` is `scale`, or the nearest to it.

    Not every float is such a quotient: divisions by a rank that is no power of two skip some.

    Raises:
        BadOption: the scale is not finite, or too large.
    """
    near = scale * rank
    if not math.isfinite(near):
        raise BadOption(f"scale {scale} with rank {rank} has no finite alpha; use a smaller scale")
    around = (near, math.nextafter(near, -math.inf), math.nextafter(near, math.inf))
    return next((alpha for alpha in around if alpha / rank == scale), near)


def as_tensor(alpha: float) -> Float[Tensor, ""]:
    """Alpha as a tensor: float32, as trainers write it, or float64 where that would change it."""
    single = torch.tensor(alpha, dtype=torch.float32)
    return single if float(single) == alpha else torch.tensor(alpha, dtype=torch.float64)
