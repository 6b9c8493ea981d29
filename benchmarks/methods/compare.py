"""The comparison: every method, and variants of `auto`, on the same cases and seeds, with intervals."""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.methods.cases import Case, cases
from benchmarks.methods.draw import Studio
from benchmarks.methods.measure import Measure
from lorafusion.methods import card_of

RESAMPLES = 2000


@dataclass(frozen=True)
class Entry:
    """One row of the comparison: a method with its options.

    Attributes:
        label: of the row.
        method: a name of `METHODS`.
        options: the method's, `strength` among them.
    """

    label: str
    method: str
    options: Mapping[str, Any]


VARIANTS: tuple[Entry, ...] = (
    Entry("auto", "auto", {}),
    Entry("auto: plain sum", "auto", {"even": 0.0, "budget": 0.0}),
    Entry("auto: evened fully", "auto", {"even": 1.0}),
    Entry("auto: timed", "auto", {"tilt": 0.5}),
    Entry("auto: timed, not evened", "auto", {"tilt": 0.5, "even": 0.0}),
    Entry("auto: budget 2", "auto", {"budget": 2.0}),
    Entry("auto: no budget", "auto", {"budget": 0.0}),
    Entry("auto: purified", "auto", {"purify": True}),
    Entry("auto: purified, no budget", "auto", {"purify": True, "budget": 0.0}),
    Entry("auto: purified, timed", "auto", {"purify": True, "tilt": 0.5}),
    Entry("auto: purified, more ridge", "auto", {"purify": True, "ridge": 1e-2}),
)
"""What was tried for the default, one part at a time."""


def compare(
    studio: Studio,
    entries: Sequence[Entry],
    measure: Measure,
    *,
    counts: Sequence[int],
    how_many: int,
    seeds: Sequence[int],
    seed: int,
    steps: int,
) -> list[dict[str, Any]]:
    """Every entry on every case: rows with the mean and a 95 % interval for each number of LoRAs.

    Intervals are of the mean over cases, by bootstrap over cases, not over pictures: the seeds of one case
    are averaged first.
    """
    rows = []
    for entry in entries:
        card = card_of(entry.method)
        for count in counts:
            if card is not None and card.pairs and count != 2:
                continue
            scores = [
                statistics.fmean(
                    measure(picture, each)
                    for picture in _drawn(studio, entry, each, list(seeds), steps)
                )
                for each in cases(count, how_many, seed)
            ]
            low, high = interval(scores, seed)
            rows.append(
                {
                    "label": entry.label,
                    "method": entry.method,
                    "options": dict(entry.options),
                    "loras": count,
                    "mean": round(statistics.fmean(scores), 4),
                    "low": round(low, 4),
                    "high": round(high, 4),
                    "cases": [round(score, 4) for score in scores],
                }
            )
    return rows


def interval(scores: Sequence[float], seed: int) -> tuple[float, float]:
    """The middle 95 % of the means of resampled scores."""
    rng = random.Random(seed)
    means = sorted(statistics.fmean(rng.choices(scores, k=len(scores))) for _ in range(RESAMPLES))
    return means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES) - 1]


def _drawn(studio: Studio, entry: Entry, case: Case, seeds: list[int], steps: int) -> list[Any]:
    plan = studio.plan(entry.method, case, steps=steps, **entry.options)
    return studio.pictures(plan, case, seeds)
