"""Runs: which routers are measured, with which options, and how a peer's options are chosen on tune."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from benchmarks.routing.metrics import Answer
from benchmarks.routing.parts import PARTS

OURS = "phrases"
"""The router that its ablations belong to."""
MOST = 8
"""The largest k that is tried."""


@dataclass(frozen=True)
class Run:
    """A row of the table.

    Attributes:
        label: what the row is called.
        router: a name of `ROUTERS`.
        options: given to it.
        fitted: the option that is chosen on the tune split, if any.
        part: the part of ours that is taken out, if any.
    """

    label: str
    router: str
    options: dict[str, Any] = field(default_factory=dict)
    fitted: Literal["threshold", "top_k"] | None = None
    part: str | None = None


PEERS = (
    Run("cosine: Eq. 1 as published", "cosine"),
    Run("cosine, threshold", "cosine", fitted="threshold"),
    Run("cosine, top-k", "cosine", fitted="top_k"),
    Run("PTW as published", "ptw"),
    Run("PTW, threshold", "ptw", fitted="threshold"),
    Run("PAW as published", "paw"),
    Run("PAW, threshold", "paw", fitted="threshold"),
    Run("Stylus, retriever only, k = 3", "stylus"),
    Run("Stylus, retriever only, top-k", "stylus", fitted="top_k"),
    Run("trigger words", "triggers"),
)


def runs() -> list[Run]:
    """Ours, ours without each of its parts, and all peers."""
    return [*_ours(), *PEERS]


def _ours() -> list[Run]:
    return [Run(OURS, OURS), *(Run(f"without {part}", OURS, part=part) for part in PARTS)]


def fit(run: Run, tune: Sequence[Answer]) -> Run:
    """The run with its option at the value of the best F1 on these answers.

    Peers choose by score alone, so that every threshold and k can be tried on the scores without routing again.
    """
    if run.fitted is None:
        return run
    tried = _by_threshold(tune) if run.fitted == "threshold" else _by_top_k(tune)
    best = max(tried, key=lambda value: (tried[value], -value))
    return replace(run, options=run.options | {run.fitted: best})


def _by_threshold(tune: Sequence[Answer]) -> dict[float, float]:
    """Threshold -> F1, for each score of a wanted LoRA: the best threshold is one of them."""
    everyone = sorted(score for one in tune for score in one.scores.values())
    wanted = sorted(one.scores[name] for one in tune for name in one.wants)
    found: dict[float, float] = {}
    for place, score in enumerate(wanted):
        hits, chosen = len(wanted) - place, len(everyone) - bisect_left(everyone, score)
        found.setdefault(score, 2 * hits / (chosen + len(wanted)))
    # a little under the score itself, so that the digits of the record do not exclude it
    return {math.floor(score * 1e6) / 1e6: value for score, value in found.items()}


def _by_top_k(tune: Sequence[Answer]) -> dict[float, float]:
    """k -> F1."""
    wanted = sum(len(one.wants) for one in tune)
    orders = [sorted(one.scores, key=lambda n: (-one.scores[n], n))[:MOST] for one in tune]
    return {
        k: 2
        * sum(
            len(one.wants.intersection(order[:k])) for one, order in zip(tune, orders, strict=True)
        )
        / (wanted + sum(len(order[:k]) for order in orders))
        for k in range(1, MOST + 1)
    }
