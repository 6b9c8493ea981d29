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

STEP = 4
"""Numbers of tokens are filled up to a multiple of this, as numbers of spans are to one of twice this: oneDNN makes
code for each number of rows, which takes the time of a whole prompt, and rows to spare hardly any."""
USUAL_MOST = 64
"""Tokens up to which that code is made when a model is loaded, so that no prompt waits for it."""


class ByTorch:
    """As `Arithmetic` says.

    Args:
        dtype: of the products with weights; all else is float32.
    """

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self._dtype = dtype
        self._met: set[tuple[int, ...]] = set()

    def linear(self, pair: Pair, *, gelu: bool = False) -> Callable[[Any], Any]:
        """As `Arithmetic.linear`."""
        weight, bias = pair
        product = Product(weight, bias, self._dtype, gelu=gelu)
        kind = (*weight.shape, gelu)
        if kind not in self._met:  # its like in another layer has the same code
            self._met.add(kind)
            for count in range(STEP, USUAL_MOST + 1, STEP):
                product(weight.new_zeros(count, weight.shape[1]))
        return product

    def filled(self, count: int) -> int:
        """As `Arithmetic.filled`."""
        return count + -count % STEP

    def joined(self, parts: Sequence[Any]) -> Any:
        """As `Arithmetic.joined`."""
        return torch.cat(list(parts))

    def of(self, array: Float[np.ndarray, "..."]) -> Any:
        """As `Arithmetic.of`."""
        return torch.from_numpy(array)

    def array(self, values: Any) -> Float[np.ndarray, "..."]:
        """As `Arithmetic.array`."""
        found: Float[np.ndarray, "..."] = values.numpy()
        return found

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

    def calm(self) -> AbstractContextManager[Any]:
        """As `Arithmetic.calm`."""
        return torch.inference_mode()

    def comparing(
        self, keys: Float[np.ndarray, "m d"]
    ) -> Callable[[Float[np.ndarray, "s d"]], Float[np.ndarray, "s m"]]:
        """As `Arithmetic.comparing`."""
        product = Product(torch.tensor(keys))

        def compared(rows: Float[np.ndarray, "s d"]) -> Float[np.ndarray, "s m"]:
            spare = -len(rows) % (2 * STEP)
            whole = functional.pad(_tensor(rows), (0, 0, 0, spare))
            return product(whole)[: len(rows)].numpy()

        return compared

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
