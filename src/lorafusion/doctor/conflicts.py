"""Conflicts: where two LoRAs want different things of the same weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lorafusion.doctor.factors import Factors, factors
from lorafusion.errors import WrongBase
from lorafusion.lora import LoRA


@dataclass(frozen=True)
class Contest:
    """One weight that both change.

    Attributes:
        path: of the target.
        wanted: the geometric mean of the shares that it has in both LoRAs' squared norms.
        cosine: between the two changes, from -1 (they undo each other) to 1 (they are the same).
    """

    path: str
    wanted: float
    cosine: float


@dataclass(frozen=True)
class Pair:
    """How two LoRAs stand to each other.

    Attributes:
        names: of the two.
        shared: how many weights both change.
        cosine: between the two LoRAs as one long vector each, from -1 to 1. At 0 they add up
            without disturbing each other's size.
        reading: overlap of the inputs that they read, 0 to 1, the mean over the shared weights by
            how much both want them.
        writing: likewise of the outputs that they write.
        wanted: how far they want the same weights: 0 for none in common, 1 for the same shares
            everywhere (Bhattacharyya's coefficient of their squared norms).
        imbalance: the larger norm over the smaller, at least 1; infinite where one is zero.
        contests: the shared weights, most wanted first.
    """

    names: tuple[str, str]
    shared: int
    cosine: float
    reading: float
    writing: float
    wanted: float
    imbalance: float
    contests: tuple[Contest, ...]


def compare(one: LoRA, other: LoRA) -> Pair:
    """Compare two LoRAs weight by weight, in low rank.

    Raises:
        WrongBase: a shared target has different shapes; the message names it.
    """
    first = {path: factors(delta) for path, delta in one.deltas.items()}
    second = {path: factors(delta) for path, delta in other.deltas.items()}
    norms = ({p: f.norm() for p, f in first.items()}, {p: f.norm() for p, f in second.items()})
    totals = (math.hypot(*norms[0].values()), math.hypot(*norms[1].values()))
    shared = [path for path in first if path in second]
    inner, contests, spaces = 0.0, [], []
    for path in shared:
        product, overlap = _meet(path, first[path], second[path])
        sizes = norms[0][path] * norms[1][path]
        inner += product
        wanted = _ratio(sizes, totals[0] * totals[1])
        contests.append(Contest(path, wanted, _bounded(_ratio(product, sizes))))
        spaces.append((wanted, *overlap))
    weight = math.fsum(wanted for wanted, _, _ in spaces)
    return Pair(
        names=(one.name, other.name),
        shared=len(shared),
        cosine=_bounded(_ratio(inner, totals[0] * totals[1])),
        reading=_ratio(math.fsum(wanted * read for wanted, read, _ in spaces), weight),
        writing=_ratio(math.fsum(wanted * written for wanted, _, written in spaces), weight),
        wanted=min(1.0, weight),
        imbalance=max(totals) / min(totals) if min(totals) else math.inf,
        contests=tuple(sorted(contests, key=lambda contest: (-contest.wanted, contest.path))),
    )


def _meet(path: str, one: Factors, other: Factors) -> tuple[float, tuple[float, float]]:
    try:
        return one.inner(other), one.overlap(other)
    except WrongBase as error:
        raise WrongBase(f"{path}: {error}") from error


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _bounded(cosine: float) -> float:
    """Without what rounding adds beyond 1."""
    return max(-1.0, min(1.0, cosine))
