"""Means with intervals: percentiles of means over resampled pictures (Efron 1979)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 2_000


def mean_of(groups: Sequence[Sequence[float]], seed: int = 0) -> dict[str, float | int | None]:
    """The mean of all values and its 95% interval.

    Args:
        groups: values that belong together, such as those of one set of LoRAs; whole groups are
            resampled, since values of one picture are not independent.
        seed: of the resampling.

    Returns:
        "mean", "low", "high", None each where there are no values, and "n", the number of values.
    """
    full = [group for group in groups if len(group)]
    if not full:
        return {"mean": None, "low": None, "high": None, "n": 0}
    sums = np.array([sum(group) for group in full], float)
    counts = np.array([len(group) for group in full], float)
    rows = np.random.default_rng(seed).integers(len(full), size=(RESAMPLES, len(full)))
    means = sums[rows].sum(axis=1) / counts[rows].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return {
        "mean": round(float(sums.sum() / counts.sum()), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "n": int(counts.sum()),
    }
