"""Switch: one LoRA at a time, taking turns over the denoising steps.

Zhong et al., "Multi-LoRA Composition for Image Generation", arXiv:2402.16843, section 3 (LoRA Switch).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lorafusion.errors import BadOption
from lorafusion.lora import LoRA
from lorafusion.methods.card import Card
from lorafusion.methods.turns import in_order, one_at_a_time
from lorafusion.plan import Candidate, Plan

CARD = Card(formula="W0 + D_l with l = floor(s / period) mod L", ordered=True)
PACES = ("steady", "shorter", "longer")


def switch(
    chosen: Sequence[Candidate],
    loras: Sequence[LoRA],
    steps: int,
    *,
    period: int = 5,
    order: str = "character",
    pace: str = "steady",
) -> Plan:
    """Open LoRA floor(s / period) mod L in step s and close the others: gates [S, 1, L].

    The paper found turns of 5 of 100 steps and characters first the best. Its equation gives each
    LoRA exactly `period` steps a turn; the published code gives the first one a step more, which is
    not repeated here.

    Args:
        chosen: L routed LoRAs.
        loras: the same LoRAs, read.
        steps: denoising steps S.
        period: steps per turn, tau in the paper; at pace "shorter" of the first round, at "longer"
            of the last.
        order: "character", "category", "style", "weight", "route", "reverse", or names: a,b,c.
        pace: "steady"; "shorter": turns of each round one step shorter than of the one before, down
            to 1, so that the layout is settled by long turns; "longer": the same backwards.

    Raises:
        BadOption: period < 1, another order or pace.
        UnknownName: an order that names a LoRA that is not there.
    """
    if period < 1:
        raise BadOption(f"period is {period}; a turn of switch takes at least 1 step")
    if pace not in PACES:
        raise BadOption(f"pace is {pace!r}; switch knows {', '.join(PACES)}")
    places = in_order(chosen, order)
    if not places:
        return Plan.of((), torch.zeros(steps, 1, 0))
    turns = _turns(places, steps, period, pace)
    return Plan.of(tuple(loras), one_at_a_time(turns, len(places)))


def _turns(places: Sequence[int], steps: int, period: int, pace: str) -> list[int]:
    if pace == "steady":
        return [places[step // period % len(places)] for step in range(steps)]
    turns: list[int] = []
    length = period
    while len(turns) < steps:
        turns += [lora for lora in places for _ in range(length)]
        length = max(length - 1, 1)
    turns = turns[:steps]
    if pace == "longer":  # the same rounds from the last to the first, in the same order of LoRAs
        backwards = [places[len(places) - 1 - places.index(lora)] for lora in turns]
        turns = backwards[::-1]
    return turns
