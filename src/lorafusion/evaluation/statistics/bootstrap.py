"""Bootstrap over prompts: intervals that know that images of one prompt are alike.

Whole prompts are drawn with replacement, each with all its images (the cluster bootstrap; Efron and
Tibshirani, "An Introduction to the Bootstrap", 1993). Differences between methods are taken within
a prompt first, so that hard and easy prompts cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from lorafusion.errors import BadOption
from lorafusion.evaluation.statistics.correlation import Values

DRAWS = 2000
"""Resamples of an interval."""
LEVEL = 0.95
EXACT = 12
"""Up to so many prompts the sign test goes through all flips instead of drawing some."""


@dataclass(frozen=True)
class Estimate:
    """A value and its interval; the interval is None where resamples leave the value undefined."""

    value: float | None
    low: float | None
    high: float | None


def over_sets(
    statistic: Callable[[Int[np.ndarray, " drawn"]], float | None],
    sets: int,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Estimate:
    """A statistic with its percentile interval, whole sets being drawn.

    Args:
        statistic: given the numbers, 0 to `sets` - 1, of the sets that take part, repeated where a
            set was drawn repeatedly; None where it is undefined.
        sets: how many there are.
        draws: resamples, at least 1.
        seed: of the draws.

    Raises:
        BadOption: no set, or fewer than one draw.
    """
    _check(sets, draws)
    found = [statistic(drawn) for drawn in _draws(sets, draws, seed)]
    known = [value for value in found if value is not None]
    return Estimate(statistic(np.arange(sets)), *_ends(known, draws))


def mean_over_sets(values: Values, *, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """The mean of one value a set, with its percentile interval.

    Args:
        values: [n] one for each set.
        draws: resamples, at least 1.
        seed: of the draws.

    Raises:
        BadOption: no values, or fewer than one draw.
    """
    _check(len(values), draws)
    found = values[_all_draws(len(values), draws, seed)].mean(axis=1)
    return Estimate(float(values.mean()), *_ends(found.tolist(), draws))


def sign_flip(differences: Values, *, draws: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value of paired differences, one a set, under "either sign is as likely".

    All flips are counted for up to `EXACT` sets, `draws` random ones otherwise, the observed one
    among them, so that p is never 0 (Phipson and Smyth, 2010).
    """
    n = len(differences)
    observed = abs(float(differences.sum()))
    if n <= EXACT:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        extra = 0
    else:
        signs = _flips(n, draws, seed)
        extra = 1
    # Sums of the same numbers in another order differ in the last bits.
    reached = np.abs(signs @ differences) >= observed - 1e-9 * max(1.0, observed)
    return float((reached.sum() + extra) / (len(signs) + extra))


def _check(sets: int, draws: int) -> None:
    if sets < 1 or draws < 1:
        raise BadOption(f"an interval needs sets and draws; seen {sets} and {draws}")


def _draws(count: int, draws: int, seed: int) -> Iterator[Int[np.ndarray, " drawn"]]:
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        yield rng.integers(count, size=count)


@lru_cache(maxsize=8)
def _all_draws(count: int, draws: int, seed: int) -> Int[np.ndarray, "draws count"]:
    """The resamples of `_draws`, all at once; every measure and pair of a table asks for the same."""
    return np.random.default_rng(seed).integers(count, size=(draws, count))


@lru_cache(maxsize=2)
def _flips(count: int, draws: int, seed: int) -> Float[np.ndarray, "draws count"]:
    return np.random.default_rng(seed).choice([-1.0, 1.0], size=(draws, count))


def _ends(found: list[float], asked: int) -> tuple[float | None, float | None]:
    """The middle `LEVEL` of the resamples; none where more than the tails were undefined."""
    if len(found) < max(1.0, LEVEL * asked):
        return None, None
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
