"""Switch-A: turns among the LoRAs of fine detail early on, then among those of broad surfaces.

Zou et al., "Cached Multi-LoRA Composition for Multi-Concept Image Generation", arXiv:2502.04923, the
variant "Switch-A" of its comparison, after its published code.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lorafusion.errors import BadOption
from lorafusion.lora import LoRA
from lorafusion.methods.card import Card
from lorafusion.methods.cmlora import EARLY, dominant
from lorafusion.methods.turns import one_at_a_time
from lorafusion.plan import Candidate, Plan

CARD = Card(
    formula="W0 + D_l, turns among detail LoRAs while s < 0.6 S, then among the others",
    ordered=True,
)


def switch_a(
    chosen: Sequence[Candidate],
    loras: Sequence[LoRA],
    steps: int,
    *,
    period: int = 5,
    early: float = EARLY,
) -> Plan:
    """Open one LoRA at a time, of the group that the step belongs to: gates [S, 1, L].

    Style, character, clothing and object LoRAs change high frequencies and act first, backgrounds
    last. The published code's second group never takes its turn (it walks over the letters of a name);
    here it does.

    Args:
        chosen: L routed LoRAs.
        loras: the same LoRAs, read.
        steps: denoising steps S.
        period: steps per turn.
        early: the share of the steps that belongs to the first group; 120 of 200 in the code.

    Raises:
        BadOption: period < 1, or early outside of 0 to 1.
    """
    if period < 1:
        raise BadOption(f"period is {period}; a turn of switch-a takes at least 1 step")
    turns = dominant(chosen, steps, period, early)
    if not turns:
        return Plan.of((), torch.zeros(steps, 1, 0))
    return Plan.of(tuple(loras), one_at_a_time(turns, len(chosen)))
