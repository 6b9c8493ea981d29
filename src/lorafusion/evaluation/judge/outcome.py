"""Outcome: verdicts as numbers: who won, how often both orders agreed, and what the place was worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from lorafusion.evaluation.judge.protocol import Verdict
from lorafusion.evaluation.judge.rubric import AXES
from lorafusion.evaluation.statistics.bootstrap import DRAWS, mean_over_sets
from lorafusion.evaluation.statistics.wins import duel


def outcome(
    first: str, second: str, verdicts: Sequence[Verdict], *, draws: int = DRAWS
) -> dict[str, Any]:
    """Everything that is told of a comparison; only pairs answered in both orders count as evidence.

    Args:
        first: name of the first arm.
        second: name of the second arm.
        verdicts: as `judge` gives them.
        draws: resamples of an interval.
    """
    whole = [one for one in verdicts if one.whole]
    return {
        "first": first,
        "second": second,
        "pairs": len(verdicts),
        "answered in both orders": len(whole),
        "left out": [one.name for one in verdicts if not one.whole],
        "failures": dict(Counter(word for one in verdicts for word in one.failures)),
        "troubles": dict(Counter(word for one in verdicts for word in one.troubles)),
        "questions paid": sum(one.paid for one in verdicts),
        "tokens": [sum(one.tokens[i] for one in verdicts) for i in (0, 1)],
        "axes": {axis: _axis(first, second, whole, axis, draws) for axis in AXES} if whole else {},
    }


def _axis(
    first: str, second: str, whole: Sequence[Verdict], axis: str, draws: int
) -> dict[str, Any]:
    marks = {one.name: _means(one, axis) for one in whole}
    keys = {name: (name.rpartition("/")[0], index) for index, name in enumerate(marks)}
    ours = {keys[name]: pair[0] for name, pair in marks.items()}
    theirs = {keys[name]: pair[1] for name, pair in marks.items()}
    met = duel(first, second, ours, theirs, draws=draws)
    assert met is not None
    gaps = [_gaps(one, axis) for one in whole]
    same = np.array([float(np.sign(a) == np.sign(b)) for a, b in gaps])
    # What being shown first was worth: half the difference between the two orders.
    place = np.array([(a - b) / 2 for a, b in gaps])
    firsts = [float(a > 0) for a, _ in gaps if a] + [float(b < 0) for _, b in gaps if b]
    told = asdict(met)
    return {
        "mean marks": [float(np.mean([p[i] for p in marks.values()])) for i in (0, 1)],
        **{key: told[key] for key in ("wins", "ties", "losses", "difference", "p", "sets")},
        "both orders agree": asdict(mean_over_sets(same, draws=draws)),
        "first place is worth": asdict(mean_over_sets(place, draws=draws)),
        "first place wins": float(np.mean(firsts)) if firsts else None,
    }


def _means(one: Verdict, axis: str) -> tuple[float, float]:
    assert one.forward is not None
    assert one.backward is not None
    return (
        (one.forward[0][axis] + one.backward[0][axis]) / 2,
        (one.forward[1][axis] + one.backward[1][axis]) / 2,
    )


def _gaps(one: Verdict, axis: str) -> tuple[float, float]:
    """First arm minus second arm, when shown first and when shown second."""
    assert one.forward is not None
    assert one.backward is not None
    return (
        one.forward[0][axis] - one.forward[1][axis],
        one.backward[0][axis] - one.backward[1][axis],
    )
