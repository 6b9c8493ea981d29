"""Award: which LoRA gets which phrase, and how sure that is.

The best fit of all is awarded first and claims its words. LoRAs of one category compete for one
phrase; a LoRA that loses one may win another. What a chosen LoRA already explains asks for no other.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

from lorafusion.routing.calibration import Calibration
from lorafusion.routing.reading import LONGEST, Span

SAME = 0.03
"""Cosine by which a LoRA must fit a further phrase better than a chosen one of its category:
"an Asian woman; the woman smiles" names one person twice."""


@dataclass(frozen=True)
class Rival:
    """A LoRA that fits some phrase well enough to be chosen.

    Attributes:
        name: for ties.
        category: "" competes for words only and not for whole phrases.
        fits: its score at each span: deviations from ordinary text, which say whether it is asked.
        cosines: at each span; of several LoRAs that are asked, they say which.
    """

    name: str
    category: str
    fits: Sequence[float]
    cosines: Sequence[float]


@dataclass(frozen=True)
class Verdict:
    """What became of a rival.

    Attributes:
        span: index of the span that asked for it; of a loser, of the one that it lost.
        score: its fit there.
        lost_to: who got that span; empty for those that were chosen.
        margin: score by which it is ahead of the next of its category or of nothing; of a loser,
            the negative score by which it is behind.
        sure: probability that the prompt asks for it, 0 to 1.
    """

    span: int
    score: float
    lost_to: str
    margin: float
    sure: float


def award(
    spans: Sequence[Span], rivals: Sequence[Rival], calibration: Calibration
) -> dict[str, Verdict]:
    """Award the spans of a prompt to the rivals.

    Returns:
        name -> verdict, for every rival.
    """
    by_name = {rival.name: rival for rival in rivals}
    ranked = {rival.name: _ranked(rival, calibration.threshold) for rival in rivals}
    waiting = [(*_order(r, ranked[r.name][0]), r.name, 0) for r in rivals if ranked[r.name]]
    heapq.heapify(waiting)
    won: dict[str, int] = {}
    lost: dict[str, Verdict] = {}
    while waiting:
        *_, name, turn = heapq.heappop(waiting)
        rival, places = by_name[name], ranked[name]
        blocker = _blocker(rival, places[turn], spans, [(by_name[k], v) for k, v in won.items()])
        if blocker is None:
            won[name] = places[turn]
            continue
        fit = rival.fits[places[turn]]
        behind = min(fit - blocker.fits[places[turn]], 0.0)
        lost.setdefault(name, Verdict(places[turn], fit, blocker.name, behind, 0.0))
        if turn + 1 < len(places):
            heapq.heappush(waiting, (*_order(rival, places[turn + 1]), name, turn + 1))
    open_ = [rival for rival in rivals if rival.name not in won]
    return lost | {k: _verdict(by_name[k], place, open_, calibration) for k, place in won.items()}


def _ranked(rival: Rival, threshold: float) -> list[int]:
    good = [i for i, fit in enumerate(rival.fits) if fit >= threshold]
    return sorted(good, key=lambda i: (_order(rival, i), i))


def _order(rival: Rival, place: int) -> tuple[float, float]:
    """The best fit first; of two that are named word for word, the one of the rarer words."""
    return -rival.cosines[place], -rival.fits[place]


def _blocker(
    rival: Rival, place: int, spans: Sequence[Span], won: Sequence[tuple[Rival, int]]
) -> Rival | None:
    """The chosen LoRA that leaves this span no longer free, if there is one."""
    span = spans[place]
    for other, taken in won:
        theirs = spans[taken]
        alike = bool(rival.category) and rival.category == other.category
        overlap = not set(span.words).isdisjoint(theirs.words)
        together = span.chunk == theirs.chunk and _length(spans, span.chunk) <= LONGEST
        behind = other.cosines[place] - rival.cosines[place]
        if overlap or behind >= 0 or (alike and (together or behind >= -SAME)):
            return other
    return None


def _length(spans: Sequence[Span], chunk: int) -> int:
    """The number of words of a whole phrase."""
    return max(len(span.words) for span in spans if span.chunk == chunk)


def _verdict(rival: Rival, place: int, open_: Sequence[Rival], calibration: Calibration) -> Verdict:
    """How far ahead a chosen LoRA is; a softmax of it, the best of its category and the null key."""
    fit = rival.fits[place]
    others = (other.fits[place] for other in open_ if other.category == rival.category)
    levels = (calibration.threshold, max(others, default=-math.inf))
    odds = (math.exp(min((level - fit) / calibration.slope, 50.0)) for level in levels)
    return Verdict(place, fit, "", fit - max(levels), 1 / (1 + sum(odds)))
