"""W-Switch: turns as long as the prompt asks for each LoRA.

Tsoumplekas et al., arXiv:2606.03792, section 3 (Weighted Switch), after its published code.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lorafusion.errors import BadOption
from lorafusion.lora import LoRA
from lorafusion.methods.card import Card
from lorafusion.methods.turns import in_order, one_at_a_time, round_robin
from lorafusion.plan import Candidate, Plan

CARD = Card(
    formula="W0 + D_l, turns of max(1, round(period w_l / max_j w_j)) steps, the last 5 the character's",
    ordered=True,
)


def w_switch(
    chosen: Sequence[Candidate],
    loras: Sequence[LoRA],
    steps: int,
    *,
    period: int = 5,
    last: int = 5,
    order: str = "character",
) -> Plan:
    """Open one LoRA at a time, for as long as its weight says: gates [S, 1, L].

    The weights are the route's; the paper's own are those of the router `paw`. The last steps belong
    to the character, of several to the first; without a character the turns go on.

    Args:
        chosen: L routed LoRAs.
        loras: the same LoRAs, read.
        steps: denoising steps S.
        period: steps per turn of the LoRA of the greatest weight.
        last: how many steps at the end are the character's; 5 in the paper, of 100.
        order: as for `switch`.

    Raises:
        BadOption: period < 1, last < 0, or another order.
    """
    if period < 1 or last < 0:
        raise BadOption(
            f"period is {period} and last {last}; w-switch takes period from 1, last from 0"
        )
    places = in_order(chosen, order)
    if not places:
        return Plan.of((), torch.zeros(steps, 1, 0))
    most = max(candidate.weight for candidate in chosen)
    shares = [chosen[i].weight / most if most > 0 else 1.0 for i in places]
    turns = round_robin(places, [max(1, round(period * share)) for share in shares], steps)
    characters = [i for i in places if chosen[i].source.category == "character"]
    if characters and last:
        turns[max(0, steps - last) :] = characters[:1] * min(last, steps)
    return Plan.of(tuple(loras), one_at_a_time(turns, len(places)))
