"""Correlation: Pearson's r, Spearman's rho and Kendall's tau-b of paired values.

Ties are handled as is usual: mean ranks for Spearman, tau-b for Kendall (Kendall, "The treatment of
ties in ranking problems", Biometrika 1945).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

Values: TypeAlias = Float[np.ndarray, " n"]


def pearson(x: Values, y: Values) -> float | None:
    """The linear correlation; None when a side is constant or there are fewer than two pairs."""
    if len(x) < 2:
        return None
    a, b = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    # A constant centred by its own mean leaves rounding behind, not zero.
    if scale <= 1e-12 * max(1.0, float(np.abs(x).max() * np.abs(y).max())) * len(x):
        return None
    return float(np.clip(a @ b / scale, -1.0, 1.0))


def spearman(x: Values, y: Values) -> float | None:
    """Pearson's r of the ranks; tied values share their mean rank."""
    return pearson(ranks(x), ranks(y))


def kendall(x: Values, y: Values) -> float | None:
    """Tau-b: concordant minus discordant pairs over the root of the pairs untied on each side."""
    dx, dy = (np.sign(v[:, None] - v[None, :]) for v in (x, y))
    scale = float(np.sqrt((dx * dx).sum() * (dy * dy).sum()))
    return None if scale == 0 else float((dx * dy).sum() / scale)


def ranks(values: Values) -> Values:
    """Ranks from 1; tied values share the mean of theirs."""
    unique, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    assert len(unique) == len(counts)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2.0)[inverse]


MEASURES: dict[str, Callable[[Values, Values], float | None]] = {
    "pearson": pearson,
    "spearman": spearman,
    "kendall": kendall,
}
"""All of them, by name."""
