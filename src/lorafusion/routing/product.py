"""Product: rows times a weight that never changes, plus a bias, with GELU or without."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

USUAL = 48
"""Rows that the order of a weight is chosen for: the tokens of one prompt's phrases."""


class Product:
    """A linear layer for inference on the processor.

    In bfloat16, where torch brings oneDNN, the weight is kept in the order that its kernels read: turning it
    into that order is a fifth of the time of a product with few rows. These two operators are what torch's own
    compiler calls; where a version of torch lacks them, the plain product gives the same.

    Args:
        weight: [m, d].
        bias: [m].
        dtype: of the product.
        gelu: whether GELU follows: Hendrycks and Gimpel, arXiv:1606.08415, the exact one.
    """

    def __init__(
        self,
        weight: Float[Tensor, "m d"],
        bias: Float[Tensor, " m"],
        dtype: torch.dtype,
        *,
        gelu: bool = False,
    ) -> None:
        self._weight, self._bias = weight.detach().to(dtype), bias.detach().to(dtype)
        self._gelu = gelu
        self._ordered = _ordered(self._weight)

    def __call__(self, rows: Float[Tensor, "t d"]) -> Float[Tensor, "t m"]:
        """The product in this layer's dtype: [t, m]."""
        rows = rows.to(self._weight.dtype)
        if self._ordered is not None:
            act: tuple[str, list[float], str]
            act = ("gelu", [], "none") if self._gelu else ("none", [], "")
            found: Tensor = torch.ops.mkldnn._linear_pointwise(
                rows, self._ordered, self._bias, *act
            )
            return found
        found = functional.linear(rows, self._weight, self._bias)
        # as the fused operator does, and more exact than GELU of what was rounded
        return functional.gelu(found.float()) if self._gelu else found


def _ordered(weight: Float[Tensor, "m d"]) -> Tensor | None:
    """The weight as oneDNN reads it fastest; None where that brings nothing or cannot be had."""
    able = weight.dtype == torch.bfloat16 and torch.backends.mkldnn.is_available()
    names = ("_linear_pointwise", "_reorder_linear_weight")
    if not able or not all(hasattr(torch.ops.mkldnn, name) for name in names):
        return None
    found: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, USUAL)
    return found
