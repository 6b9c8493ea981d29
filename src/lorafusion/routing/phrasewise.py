"""Phrases: a prompt read phrase by phrase, and each phrase awarded to the LoRA it asks for.

The prompt is cut into phrases and the runs of words in them (`reading`), each is compared with several
keys of each LoRA (`keyring`), on a scale that means the same for every key and encoder
(`background`), and awarded (`award`). Weights are strengths: a LoRA that is clearly asked for acts
fully, whether one or five are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from heapq import merge

import numpy as np
from jaxtyping import Float

from lorafusion.errors import BadOption, UnknownName
from lorafusion.library.keys import Encoder
from lorafusion.plan import Candidate, Candidates, Route, Source
from lorafusion.registry import unknown
from lorafusion.routing.calibration import calibration_of
from lorafusion.routing.hearing import Hearing
from lorafusion.routing.keyring import keyring

BUDGETS = ("full", "balanced", "paper")
CLEAR = 5.0
"""Slopes above the threshold at which there is no doubt."""


def phrases(
    prompt: str,
    entries: Sequence[Source],
    keys: Float[np.ndarray, "n d"],  # noqa: ARG001 - every router is called alike
    encoder: Encoder,
    *,
    budget: str = "full",
    threshold: float | None = None,
    top_k: int | None = None,
    negative: str | None = None,
) -> Route:
    """Choose the LoRAs that phrases of the prompt ask for, and none where none does.

    Args:
        prompt: sentences or tags, with ``(stress:1.2)`` as A1111 and ComfyUI write it.
        entries: n LoRAs; those with `text` and `triggers` are compared by them too.
        keys: one for each of them, [n, d]; not used, since a LoRA has several keys here.
        encoder: makes vectors of keys and of spans.
        budget: "full", each LoRA acts at its own weight; "balanced", L of them share the strength
            of the square root of L; "paper", they share the strength of one.
        threshold: the least score that a LoRA is chosen with; the encoder's own when not given.
        top_k: how many LoRAs to choose at most.
        negative: the negative prompt; what it names is not chosen.

    Returns:
        Route with a candidate for each entry: first the chosen ones, by falling weight. Scores are
        deviations from ordinary text.

    Raises:
        BadOption: an option out of its range.
        UnknownName: no such budget.
    """
    _check(budget, threshold, top_k)
    if not entries:
        return Route(prompt, ())
    level = calibration_of(encoder)
    clear = level.threshold + CLEAR * level.slope
    if threshold is not None:
        level = replace(level, threshold=threshold)
    sources = tuple(entries)
    ring = keyring(sources, encoder)
    found = Hearing(prompt, negative or "", sources, ring, level, clear).candidates()
    return _budgeted(Route(prompt, _narrowed(found, top_k)), budget)


def _narrowed(found: Candidates, top_k: int | None) -> Candidates:
    """The same with all chosen ones but the best k left out.

    Args:
        found: the chosen ones, then the others, both by falling score and equal scores by name.
        top_k: None for all of them.
    """
    if top_k is None or len(found.chosen) <= top_k:
        return found
    ranked = sorted(found.chosen, key=lambda one: (-one.weight, -one.score, one.name))
    best = {one.name for one in ranked[:top_k]}
    reason = f"not among the best {top_k}"
    kept = tuple(one for one in found.chosen if one.name in best)
    dropped = [
        replace(one, weight=0.0, left_out=reason) for one in found.chosen if one.name not in best
    ]

    def others() -> list[Candidate]:
        return [*merge(dropped, found.others(), key=lambda one: (-one.score, one.name))]

    return Candidates(kept, len(found), others)


def _budgeted(route: Route, budget: str) -> Route:
    total = sum(route.weights.values())
    if budget == "full" or not total:
        return route
    factor = 1 / total if budget == "paper" else 1 / max(1.0, math.sqrt(total))
    return route.changed(lambda one: replace(one, weight=one.weight * factor))


def _check(budget: str, threshold: float | None, top_k: int | None) -> None:
    if budget not in BUDGETS:
        raise UnknownName(unknown("budget", budget, list(BUDGETS)))
    if threshold is not None and not math.isfinite(threshold):
        raise BadOption(f"threshold is {threshold}; it must be a finite number")
    if top_k is not None and top_k < 1:
        raise BadOption(f"top_k is {top_k}; it must be at least 1")
