"""Raters: how far several people agree, which bounds what any metric can reach."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def krippendorff(ratings: Float[np.ndarray, "raters items"]) -> float | None:
    """Krippendorff's alpha with the interval distance, (a - b)^2; missing ratings are NaN.

    1 is full agreement, 0 what chance gives. Source: Krippendorff, "Computing Krippendorff's
    alpha-reliability", 2011. None when fewer than two ratings can be paired or none differ.
    """
    columns = [column[~np.isnan(column)] for column in ratings.T]
    paired = [column for column in columns if len(column) > 1]
    if not paired:
        return None
    everything = np.concatenate(paired)
    count = len(everything)
    # The mean over all pairs of (a - b)^2 is twice the variance: no loop over pairs is needed.
    expected = 2 * float(everything.var(ddof=1))
    observed = sum(2 * float(c.var(ddof=1)) * len(c) for c in paired) / count
    return None if expected == 0 else 1 - observed / expected


def weighted_kappa(
    first: Float[np.ndarray, " items"], second: Float[np.ndarray, " items"]
) -> float | None:
    """Cohen's kappa of two raters with quadratic weights, over the items that both rated.

    Categories are spaced by their values, so that 1 against 5 counts sixteen times 1 against 2.
    Source: Cohen, "Weighted kappa", Psychological Bulletin 1968. None without a common item or
    when both always say the same one thing.
    """
    both = ~(np.isnan(first) | np.isnan(second))
    a, b = first[both], second[both]
    if not len(a):
        return None
    expected = float(((a[:, None] - b[None, :]) ** 2).mean())
    return None if expected == 0 else 1 - float(((a - b) ** 2).mean()) / expected
