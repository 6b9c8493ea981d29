"""Arithmetic: what routing calculates with: torch where a process has it, else numpy.

Importing torch takes longer than all else that a command needs which only asks for a route. For whoever asks for many,
or has loaded it anyway, its products of few rows with a weight that stays are the faster ones.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from threading import Event
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

_SPARED = Event()
Pair = tuple[Any, Any]
"""A weight and its bias."""


@runtime_checkable
class Arithmetic(Protocol):
    """The same functions for torch's tensors and for numpy's arrays; `Any` is whichever of both it has."""

    def linear(self, pair: Pair, *, gelu: bool = False) -> Callable[[Any], Any]:
        """Rows times a weight [m, d] that stays, plus its bias [m], with the exact GELU or without."""

    def filled(self, count: int) -> int:
        """A number of tokens that is calculated fast: this, or a few more, which then mean nothing."""

    def joined(self, parts: Sequence[Any]) -> Any:
        """Arrays one after the other along their first axis."""

    def of(self, array: Float[np.ndarray, "..."]) -> Any:
        """An array as it calculates with it, in the same memory."""

    def array(self, values: Any) -> Float[np.ndarray, "..."]:
        """The inverse of `of`."""

    def heard(self, mixed: Any, closed: Any, heads: int) -> Any:
        """Attention: queries, keys and values side by side, [t, 3 d], to what is heard, [t, d].

        Args:
            closed: which tokens do not hear each other: 0 or minus infinity, [t, t].
        """

    def normed(self, rows: Any, pair: Pair, epsilon: float) -> Any:
        """Layer norm."""

    def calm(self) -> AbstractContextManager[Any]:
        """Within it nothing is noted for gradients."""

    def comparing(
        self, keys: Float[np.ndarray, "m d"]
    ) -> Callable[[Float[np.ndarray, "s d"]], Float[np.ndarray, "s m"]]:
        """A function of rows to their products with keys that stay."""

    def nearest(
        self, products: Float[np.ndarray, "s m"], most: int
    ) -> tuple[Float[np.ndarray, "s r"], Int[np.ndarray, "s r"]]:
        """The greatest of each row, the greatest first, and where they stand."""

    def spread(
        self, near: Float[np.ndarray, "s r"]
    ) -> tuple[Float[np.ndarray, " s"], Float[np.ndarray, " s"]]:
        """Mean and deviation of each row."""


def lasting() -> Arithmetic:
    """Torch's, which is imported now if need be: what is stored is the same, whoever came first."""
    from lorafusion.routing.by_torch import ByTorch

    return ByTorch()


def spare_torch() -> None:
    """Say that this process asks for a route or two, for which torch need not be imported."""
    _SPARED.set()


def torch_spared() -> bool:
    """Whether torch is to be left out: it was asked for, and nobody has imported it."""
    return _SPARED.is_set() and "torch" not in sys.modules


def arithmetic() -> Arithmetic:
    """Torch's, but numpy's where torch is spared."""
    if not torch_spared():
        return lasting()
    from lorafusion.routing.by_numpy import ByNumpy

    return ByNumpy()
