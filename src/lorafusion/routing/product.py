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

    Where torch brings oneDNN, the weight is kept in the order that its kernels read: turning it into that
    order is a fifth to a half of the time of a product with few rows. These two operators are what torch's
    own compiler calls; where a version of torch lacks them, the plain product gives the same.

    Args:
        weight: [m, d].
        bias: [m], if any.
        dtype: of the product; the weight's own when not given.
        gelu: whether GELU follows: Hendrycks and Gimpel, arXiv:1606.08415, the exact one.
    """

    def __init__(
        self,
        weight: Float[Tensor, "m d"],
        bias: Float[Tensor, " m"] | None = None,
        dtype: torch.dtype | None = None,
        *,
        gelu: bool = False,
    ) -> None:
        self._weight = weight.detach().to(dtype)
        self._bias = None if bias is None else bias.detach().to(dtype)
        self._gelu = gelu
        self._ordered = _ordered(self._weight)

    def __call__(self, rows: Float[Tensor, "t d"]) -> Float[Tensor, "t m"]:
        """The product in this layer's dtype: [t, m]."""
        rows = rows.to(self._weight.dtype)
        if self._ordered is not None:
            act, form = ("gelu", "none") if self._gelu else ("none", "")
            multiply = torch.ops.mkldnn._linear_pointwise
            fused: Tensor = multiply(rows, self._ordered, self._bias, act, [], form)
            return fused
        found = functional.linear(rows, self._weight, self._bias)
        return functional.gelu(found.float()) if self._gelu else found


def _ordered(weight: Float[Tensor, "m d"]) -> Tensor | None:
    """The weight as oneDNN reads it fastest; None where that brings nothing or cannot be had."""
    names = ("_linear_pointwise", "_reorder_linear_weight")
    able = torch.backends.mkldnn.is_available() and weight.numel() > 0
    if not able or not all(hasattr(torch.ops.mkldnn, name) for name in names):
        return None
    found: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, USUAL)
    return found
