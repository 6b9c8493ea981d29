"""Wins: one method against another, prompt by prompt, with intervals and corrected p-values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from lorafusion.evaluation.statistics.bootstrap import DRAWS, Estimate, mean_over_sets, sign_flip

Scores = Mapping[tuple[str, int], float]
"""(set, seed) -> value of one method."""


@dataclass(frozen=True)
class Duel:
    """Method `first` against `second` on the images that both have.

    Attributes:
        wins: share of images, from 0 to 1, where the first is better; equal weight for each set.
        ties: share where neither is.
        losses: share where the second is better.
        difference: first minus second, mean over sets of the mean over seeds.
        p: two-sided, of the sign-flip test over sets.
        corrected: p after Holm's correction for all duels of one table.
        sets: how many sets both methods have.
    """

    first: str
    second: str
    wins: Estimate
    ties: Estimate
    losses: Estimate
    difference: Estimate
    p: float
    corrected: float
    sets: int


def duels(
    scores: Mapping[str, Scores], *, margin: float = 0.0, draws: int = DRAWS, seed: int = 0
) -> list[Duel]:
    """Every pair of methods, p-values corrected together.

    Args:
        scores: method -> its values; greater is better.
        margin: differences up to this are ties.
        draws: resamples of an interval.
        seed: of the resamples.
    """
    pairs = combinations(scores, 2)
    found = [
        duel(a, b, scores[a], scores[b], margin=margin, draws=draws, seed=seed) for a, b in pairs
    ]
    met = [one for one in found if one is not None]
    corrected = holm([one.p for one in met])
    return [replace(one, corrected=p) for one, p in zip(met, corrected, strict=True)]


def duel(
    first: str,
    second: str,
    ours: Scores,
    theirs: Scores,
    *,
    margin: float = 0.0,
    draws: int = DRAWS,
    seed: int = 0,
) -> Duel | None:
    """One pair of methods; None when no image of the same set and seed is there of both."""
    by_set: dict[str, list[float]] = {}
    for key in ours:
        if key in theirs:
            by_set.setdefault(key[0], []).append(ours[key] - theirs[key])
    if not by_set:
        return None
    gaps = [np.asarray(by_set[name]) for name in sorted(by_set)]
    mean = np.array([gap.mean() for gap in gaps])

    def share(outcomes: list[Any]) -> Estimate:
        values = np.array([float(each.mean()) for each in outcomes])
        return mean_over_sets(values, draws=draws, seed=seed)

    p = sign_flip(mean, seed=seed)
    return Duel(
        first,
        second,
        wins=share([gap > margin for gap in gaps]),
        ties=share([np.abs(gap) <= margin for gap in gaps]),
        losses=share([gap < -margin for gap in gaps]),
        difference=mean_over_sets(mean, draws=draws, seed=seed),
        p=p,
        corrected=p,
        sets=len(gaps),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction, in the order given (Scandinavian Journal of Statistics, 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected = [0.0] * len(p_values)
    most = 0.0
    for place, index in enumerate(order):
        most = max(most, min(1.0, (len(order) - place) * p_values[index]))
        corrected[index] = most
    return corrected
