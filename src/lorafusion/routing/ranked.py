"""Ranked: from a score for each LoRA to a Route, with an optional threshold and a number to keep.

What routers share that score every LoRA once and weigh those that are left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from lorafusion.errors import BadOption
from lorafusion.plan import Candidate, Route, Source

Weigh = Callable[[Sequence[int]], Sequence[float]]
"""Positions of the chosen LoRAs -> their weights, in the same order."""


def ranked(
    prompt: str,
    entries: Sequence[Source],
    scores: Sequence[float],
    weigh: Weigh,
    *,
    threshold: float | None,
    top_k: int | None,
    absent: str = "",
) -> Route:
    """A route over all LoRAs by falling score, equal scores by name.

    Args:
        prompt: the text that was routed.
        entries: n LoRAs.
        scores: one for each.
        weigh: makes weights of the positions that are left.
        threshold: the least score that a LoRA is chosen with.
        top_k: how many LoRAs to choose at most.
        absent: when given, a LoRA that scores 0 or less is left out, for this reason.

    Raises:
        BadOption: top_k below 1, or a threshold that is not finite.
    """
    _check(threshold, top_k)
    order = sorted(range(len(entries)), key=lambda i: (-scores[i], entries[i].name))
    reasons = {
        i: _reason(scores[i], place, threshold, top_k, absent) for place, i in enumerate(order)
    }
    chosen = [i for i in order if not reasons[i]]
    weights = dict(zip(chosen, weigh(chosen), strict=True))
    candidates = (
        Candidate(entries[i], scores[i], weights.get(i, 0.0), left_out=reasons[i]) for i in order
    )
    return Route(prompt, tuple(candidates))


def shares(parts: Sequence[float]) -> list[float]:
    """Parts divided by their sum; where there is nothing to divide, 0 for each."""
    total = sum(parts)
    return [part / total if total > 0 else 0.0 for part in parts]


def _reason(
    score: float, place: int, threshold: float | None, top_k: int | None, absent: str
) -> str:
    if absent and score <= 0:
        return absent
    if threshold is not None and score < threshold:
        return f"score {score:.3g} is under the threshold {threshold:.3g}"
    if top_k is not None and place >= top_k:
        return f"score {score:.3g} is not among the best {top_k}"
    return ""


def _check(threshold: float | None, top_k: int | None) -> None:
    if top_k is not None and top_k < 1:
        raise BadOption(f"top_k is {top_k}; it must be at least 1")
    if threshold is not None and not math.isfinite(threshold):
        raise BadOption(f"threshold is {threshold}; it must be a finite number")
