"""Metrics of routes against known answers.

F1 (micro): over all names of all prompts, 2 TP / (2 TP + FP + FN).
exact: share of prompts whose chosen names are just the wanted ones.
false picks: of the prompts that want nothing, the share with anything chosen.
separable: of the prompts that want something, the share where each wanted LoRA scores above all others.
margin: over those prompts, the mean of the least weight of a wanted LoRA less the greatest weight of another one;
    a LoRA that is left out has weight 0. It is 1 at best and -1 at worst while weights are within 0 and 1.
calibration error (expected): chosen LoRAs in ten bins by weight; the mean over bins, by their size, of
    |mean weight - share of right ones|. Guo et al., arXiv:1706.04599, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lorafusion.plan import Route

BINS = 10


@dataclass(frozen=True)
class Answer:
    """A route beside what was wanted."""

    wants: frozenset[str]
    weights: dict[str, float]
    scores: dict[str, float]

    @property
    def chosen(self) -> set[str]:
        """Names that were not left out."""
        return set(self.weights)


def answer(route: Route, wants: frozenset[str]) -> Answer:
    """What of a route is measured."""
    return Answer(wants, route.weights, {one.name: one.score for one in route.candidates})


def measure(answers: Sequence[Answer]) -> dict[str, Any]:
    """All metrics over the prompts of a set, rounded to four digits; None where there is nothing to measure."""
    idle = [one for one in answers if not one.wants]
    asked = [one for one in answers if one.wants]
    bins = reliability(answers)
    return {
        "prompts": len(answers),
        "f1": _digits(f1(answers)) if asked else None,
        "precision": _share(_hits(answers), len(asked) and sum(len(one.chosen) for one in answers)),
        "recall": _share(_hits(answers), sum(len(one.wants) for one in answers)),
        "exact": _mean([one.chosen == one.wants for one in answers]),
        "false picks": _mean([bool(one.chosen) for one in idle]),
        "separable": _mean([_gap(one.wants, one.scores) > 0 for one in asked]),
        "margin": _mean(
            [_gap(one.wants, dict.fromkeys(one.scores, 0.0) | one.weights) for one in asked]
        ),
        "calibration error": _digits(calibration_error(bins)),
        "reliability": bins,
    }


def f1(answers: Sequence[Answer]) -> float | None:
    """Micro F1 over names; None where nothing was wanted and nothing chosen."""
    hits = _hits(answers)
    wrong = sum(len(one.chosen ^ one.wants) for one in answers)
    return 2 * hits / (2 * hits + wrong) if hits or wrong else None


def reliability(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """For each bin of weights that has any: its bounds, how many, their mean weight, and how many were right."""
    pairs = [(w, name in one.wants) for one in answers for name, w in one.weights.items()]
    found = []
    for i in range(BINS):
        inside = [pair for pair in pairs if i == min(int(max(pair[0], 0.0) * BINS), BINS - 1)]
        if inside:
            found.append(
                {
                    "from": i / BINS,
                    "to": (i + 1) / BINS,
                    "count": len(inside),
                    "mean weight": _mean([weight for weight, _ in inside]),
                    "right": _mean([right for _, right in inside]),
                }
            )
    return found


def calibration_error(bins: Sequence[dict[str, Any]]) -> float | None:
    """The expected calibration error of the bins; None where nothing was chosen."""
    total = sum(each["count"] for each in bins)
    gaps = (each["count"] * abs(each["mean weight"] - each["right"]) for each in bins)
    return sum(gaps) / total if total else None


def _hits(answers: Sequence[Answer]) -> int:
    return sum(len(one.chosen & one.wants) for one in answers)


def _gap(wants: frozenset[str], values: dict[str, float]) -> float:
    """The least value of a wanted LoRA less the greatest of another one."""
    others = [value for name, value in values.items() if name not in wants]
    return min(values[name] for name in wants) - max(others, default=0.0)


def _share(part: int, whole: int) -> float | None:
    return _digits(part / whole) if whole else None


def _mean(values: Sequence[float]) -> float | None:
    return _digits(sum(values) / len(values)) if values else None


def _digits(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
