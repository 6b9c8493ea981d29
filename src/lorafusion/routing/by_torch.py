"""ByTorch: the arithmetic of routing with torch; importing this imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from lorafusion.routing.arithmetic import Pair
from lorafusion.routing.product import Product


class ByTorch:
    """As `Arithmetic` says.

    Args:
        dtype: of the products with weights; all else is float32.
    """

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self._dtype = dtype

    def linear(self, pair: Pair, *, gelu: bool = False) -> Callable[[Any], Any]:
        """As `Arithmetic.linear`."""
        weight, bias = pair
        return Product(weight, bias, self._dtype, gelu=gelu)

    def joined(self, parts: Sequence[Any]) -> Any:
        """As `Arithmetic.joined`."""
        return torch.cat(list(parts))

    def picked(self, table: Any, rows: Sequence[int]) -> Any:
        """As `Arithmetic.picked`."""
        return table[torch.tensor(rows)]

    def closed(self, sizes: Sequence[int]) -> Any:
        """As `Arithmetic.closed`."""
        owners = _owners(sizes)
        apart = owners[:, None] != owners
        return torch.zeros(apart.shape).masked_fill_(apart, -torch.inf)

    def heard(self, mixed: Any, closed: Any, heads: int) -> Any:
        """As `Arithmetic.heard`."""
        parts = mixed.float().view(len(mixed), 3, heads, -1)
        q, k, v = parts.permute(1, 2, 0, 3)  # each [heads, tokens, width of a head]
        scale = q.shape[2] ** -0.5
        shares = torch.baddbmm(closed, q, k.transpose(1, 2), alpha=scale).softmax(2)
        return torch.bmm(shares, v).transpose(0, 1).flatten(1)

    def normed(self, rows: Any, pair: Pair, epsilon: float) -> Any:
        """As `Arithmetic.normed`."""
        return functional.layer_norm(rows, (rows.shape[1],), *pair, epsilon)

    def sums(self, states: Any, sizes: Sequence[int]) -> Any:
        """As `Arithmetic.sums`."""
        return states.new_zeros(len(sizes), states.shape[1]).index_add_(0, _owners(sizes), states)

    def units(self, rows: Any) -> Float[np.ndarray, "n d"]:
        """As `Arithmetic.units`."""
        return functional.normalize(rows, dim=1).numpy()

    def calm(self) -> AbstractContextManager[Any]:
        """As `Arithmetic.calm`."""
        return torch.inference_mode()

    def comparing(
        self, keys: Float[np.ndarray, "m d"]
    ) -> Callable[[Float[np.ndarray, "s d"]], Float[np.ndarray, "s m"]]:
        """As `Arithmetic.comparing`."""
        product = Product(torch.tensor(keys))
        return lambda rows: product(_tensor(rows)).numpy()

    def nearest(
        self, products: Float[np.ndarray, "s m"], most: int
    ) -> tuple[Float[np.ndarray, "s r"], Int[np.ndarray, "s r"]]:
        """As `Arithmetic.nearest`."""
        found = _tensor(products).topk(most, dim=1)
        return found.values.numpy(), found.indices.numpy()

    def spread(
        self, near: Float[np.ndarray, "s r"]
    ) -> tuple[Float[np.ndarray, " s"], Float[np.ndarray, " s"]]:
        """As `Arithmetic.spread`; the deviation is that of a sample."""
        rows = _tensor(near)
        return rows.mean(1).numpy(), rows.std(1).numpy()


def fast_dtype() -> torch.dtype:
    """bfloat16 where the processor multiplies in it, which halves the time; else float32."""
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)
    return torch.bfloat16 if native() else torch.float32


def _tensor(rows: Float[np.ndarray, "s d"]) -> Float[Tensor, "s d"]:
    """Rows for torch, which wants memory that it could write to; what is mapped from a file is not."""
    return torch.from_numpy(rows if rows.flags.writeable else rows.copy())


def _owners(sizes: Sequence[int]) -> Tensor:
    """Which text each token belongs to: [t]."""
    return torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
