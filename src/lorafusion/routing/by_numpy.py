"""ByNumpy: the arithmetic of routing with numpy alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from lorafusion.routing.arithmetic import Pair

_ERF = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
_ERF_P = 0.3275911


class ByNumpy:
    """As `Arithmetic` says, in float32."""

    def linear(self, pair: Pair, *, gelu: bool = False) -> Callable[[Any], Any]:
        """As `Arithmetic.linear`."""
        weight, bias = pair

        def product(rows: Float[np.ndarray, "t d"]) -> Float[np.ndarray, "t m"]:
            found = _product(rows, weight) + bias
            return _gelu(found) if gelu else found

        return product

    def filled(self, count: int) -> int:
        """As `Arithmetic.filled`; one number of rows is as good as another."""
        return count

    def joined(self, parts: Sequence[Any]) -> Any:
        """As `Arithmetic.joined`."""
        return np.concatenate(parts)

    def of(self, array: Float[np.ndarray, "..."]) -> Any:
        """As `Arithmetic.of`."""
        return array

    def array(self, values: Any) -> Float[np.ndarray, "..."]:
        """As `Arithmetic.array`."""
        found: Float[np.ndarray, "..."] = values
        return found

    def heard(self, mixed: Any, closed: Any, heads: int) -> Any:
        """As `Arithmetic.heard`."""
        q, k, v = mixed.reshape(len(mixed), 3, heads, -1).transpose(1, 2, 0, 3)
        shares = q @ k.transpose(0, 2, 1) * np.float32(q.shape[2] ** -0.5) + closed
        shares = np.exp(shares - shares.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        return (shares @ v).transpose(1, 0, 2).reshape(len(mixed), -1)

    def normed(self, rows: Any, pair: Pair, epsilon: float) -> Any:
        """As `Arithmetic.normed`."""
        around = rows - rows.mean(1, keepdims=True)
        deviation = np.sqrt((around * around).mean(1, keepdims=True) + np.float32(epsilon))
        return around / deviation * pair[0] + pair[1]

    def calm(self) -> AbstractContextManager[Any]:
        """As `Arithmetic.calm`."""
        return nullcontext()

    def comparing(
        self, keys: Float[np.ndarray, "m d"]
    ) -> Callable[[Float[np.ndarray, "s d"]], Float[np.ndarray, "s m"]]:
        """As `Arithmetic.comparing`."""
        return lambda rows: _product(rows, keys)

    def nearest(
        self, products: Float[np.ndarray, "s m"], most: int
    ) -> tuple[Float[np.ndarray, "s r"], Int[np.ndarray, "s r"]]:
        """As `Arithmetic.nearest`."""
        at = np.argpartition(-products, most - 1, axis=1)[:, :most]
        values = np.take_along_axis(products, at, 1)
        order = np.argsort(-values, axis=1, kind="stable")
        return np.take_along_axis(values, order, 1), np.take_along_axis(at, order, 1)

    def spread(
        self, near: Float[np.ndarray, "s r"]
    ) -> tuple[Float[np.ndarray, " s"], Float[np.ndarray, " s"]]:
        """As `Arithmetic.spread`; the deviation is that of a sample."""
        mean = near.mean(1)
        return mean, np.sqrt(((near - mean[:, None]) ** 2).sum(1) / (near.shape[1] - 1))


def _product(
    rows: Float[np.ndarray, "t d"], weight: Float[np.ndarray, "m d"]
) -> Float[np.ndarray, "t m"]:
    """Rows times a weight, in the order in which BLAS need not turn the larger of both."""
    return np.ascontiguousarray((weight @ rows.T).T)


def _gelu(values: Float[np.ndarray, "t m"]) -> Float[np.ndarray, "t m"]:
    """x · Phi(x): Hendrycks and Gimpel, arXiv:1606.08415, the exact one, to 1.5e-7 of the error function.

    Abramowitz and Stegun, "Handbook of Mathematical Functions", 1964, 7.1.26.
    """
    x = np.abs(values) * np.float32(0.5**0.5)
    t = 1 / (1 + np.float32(_ERF_P) * x)
    tail = np.zeros_like(t)
    for factor in reversed(_ERF):
        tail = (tail + np.float32(factor)) * t
    erf = np.copysign(1 - tail * np.exp(-x * x), values)
    return values * (1 + erf) / 2
