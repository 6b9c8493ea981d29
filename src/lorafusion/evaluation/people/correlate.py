"""Correlate: how far each metric says what people say, pooled and within a set.

Pooled correlations mix two things: whether a metric finds the better image of a prompt, and whether
it knows which prompts are hard. Only the first is of use to compare methods, so that each value is
also given within sets (every set's mean taken away), and as the share of pairs ordered alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Int

from lorafusion.errors import UnknownName
from lorafusion.evaluation.people.ratings import Ratings
from lorafusion.evaluation.statistics.bootstrap import DRAWS, Estimate, over_sets
from lorafusion.evaluation.statistics.correlation import MEASURES, Values, pearson
from lorafusion.evaluation.statistics.pairs import Agreement, agreement
from lorafusion.evaluation.statistics.raters import krippendorff, weighted_kappa
from lorafusion.registry import unknown


@dataclass(frozen=True)
class Compared:
    """One metric against the mean of the raters on one axis.

    Attributes:
        images: how many have both; others are left out.
        pooled: name of a correlation -> its value over all images, with an interval over sets.
        within: the same after the mean of its set was taken from each value.
        within_sets_and_methods: Pearson after the mean of its method was taken away too: what is
            left is whether the metric sees the single image.
        pairs: of two images of one set.
        agreement: the share of `pairs`, with an interval over sets.
    """

    metric: str
    axis: str
    images: int
    sets: int
    pooled: dict[str, Estimate]
    within: dict[str, Estimate]
    within_sets_and_methods: float | None
    pairs: Agreement
    agreement: Estimate


def correlate(
    ratings: Ratings, metrics: Sequence[str] = (), *, draws: int = DRAWS, seed: int = 0
) -> list[Compared]:
    """Each metric on each axis that it is about.

    Args:
        ratings: as `read_ratings` gives them.
        metrics: those to look at; all when empty.
        draws: resamples of an interval.
        seed: of the resamples.

    Raises:
        UnknownName: no such metric.
    """
    for name in metrics:
        if name not in ratings.metrics:
            raise UnknownName(unknown("metric", name, list(ratings.metrics)))
    return [
        _compared(ratings, name, axis, draws, seed)
        for name in metrics or ratings.metrics
        for axis in ratings.people
        if ratings.axis_of(name) in ("", axis)
    ]


def raters(ratings: Ratings) -> dict[str, dict[str, Any]]:
    """Axis -> how far the raters agree: Krippendorff's alpha, and each pair's kappa and Pearson."""
    found = {}
    for axis, said in ratings.people.items():
        couples = []
        for a, b in combinations(range(len(said)), 2):
            both = ~(np.isnan(said[a]) | np.isnan(said[b]))
            couples.append(
                {
                    "raters": [a + 1, b + 1],
                    "images": int(both.sum()),
                    "weighted_kappa": weighted_kappa(said[a], said[b]),
                    "pearson": pearson(said[a][both], said[b][both]),
                }
            )
        found[axis] = {"raters": len(said), "alpha": krippendorff(said), "pairs": couples}
    return found


def document(ratings: Ratings, compared: Sequence[Compared]) -> dict[str, Any]:
    """Everything as JSON; figures first, intervals beside them."""
    return {
        "images": len(ratings.sets),
        "sets": len(np.unique(ratings.sets)),
        "raters": raters(ratings),
        "ignored": list(ratings.ignored),
        "results": [_told(one) for one in compared],
    }


def _told(one: Compared) -> dict[str, Any]:
    return {
        "metric": one.metric,
        "axis": one.axis,
        "images": one.images,
        "sets": one.sets,
        "pooled": {name: estimate.value for name, estimate in one.pooled.items()},
        "within_set": {name: estimate.value for name, estimate in one.within.items()},
        "within_set_and_method": {"pearson": one.within_sets_and_methods},
        "pairwise": asdict(one.pairs) | {"agreement": one.agreement.value},
        "intervals": {
            "pooled": {name: [e.low, e.high] for name, e in one.pooled.items()},
            "within_set": {name: [e.low, e.high] for name, e in one.within.items()},
            "pairwise": [one.agreement.low, one.agreement.high],
        },
    }


def _compared(ratings: Ratings, metric: str, axis: str, draws: int, seed: int) -> Compared:
    said = ratings.people[axis]
    rated = ~np.isnan(said).all(0)
    people = np.full(said.shape[1], np.nan)
    people[rated] = np.nanmean(said[:, rated], axis=0)
    keep = rated & ~np.isnan(ratings.metrics[metric])
    theirs, ours = people[keep], ratings.metrics[metric][keep]
    names, sets = np.unique(ratings.sets[keep], return_inverse=True)
    methods = np.unique(np.array(ratings.methods)[keep], return_inverse=True)[1]
    members = [np.nonzero(sets == one)[0] for one in range(len(names))]
    near_ours, near_theirs = _centred(ours, sets), _centred(theirs, sets)
    return Compared(
        metric=metric,
        axis=axis,
        images=len(ours),
        sets=len(names),
        pooled=_estimates(ours, theirs, members, draws, seed),
        within=_estimates(near_ours, near_theirs, members, draws, seed),
        within_sets_and_methods=pearson(
            _centred(near_ours, methods), _centred(near_theirs, methods)
        ),
        pairs=agreement(ours, theirs, sets),
        agreement=_agreement(ours, theirs, members, draws, seed),
    )


def _estimates(
    x: Values, y: Values, members: Sequence[Int[np.ndarray, " _m"]], draws: int, seed: int
) -> dict[str, Estimate]:
    def of(measure: Callable[[Values, Values], float | None]) -> Estimate:
        def statistic(drawn: Int[np.ndarray, " drawn"]) -> float | None:
            index = np.concatenate([members[i] for i in drawn])
            return measure(x[index], y[index])

        return over_sets(statistic, len(members), draws=draws, seed=seed)

    return {name: of(measure) for name, measure in MEASURES.items()}


def _agreement(
    x: Values, y: Values, members: Sequence[Int[np.ndarray, " _m"]], draws: int, seed: int
) -> Estimate:
    """Counted set by set, so that a set drawn twice counts twice and is not paired with its copy."""
    counts = [agreement(x[m], y[m], np.zeros(len(m), dtype=int)) for m in members]
    agreed = np.array([one.agreed + one.tied / 2 for one in counts])
    pairs = np.array([one.pairs for one in counts])

    def share(drawn: Int[np.ndarray, " drawn"]) -> float | None:
        all_pairs = pairs[drawn].sum()
        return float(agreed[drawn].sum() / all_pairs) if all_pairs else None

    return over_sets(share, len(members), draws=draws, seed=seed)


def _centred(values: Values, groups: Int[np.ndarray, " n"]) -> Values:
    """Each value less the mean of its group."""
    sums = np.bincount(groups, values)
    return values - (sums / np.bincount(groups))[groups]
