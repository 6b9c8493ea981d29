"""Single: the one LoRA that fits the prompt best."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lorafusion.lora import LoRA
from lorafusion.methods.card import Card
from lorafusion.plan import Candidate, Plan

CARD = Card(formula="W0 + D_l, l the LoRA of the best score", exportable=True)


def single(chosen: Sequence[Candidate], loras: Sequence[LoRA], steps: int) -> Plan:
    """Open the LoRA of the highest score fully and close the others: gates [S, 1, L].

    Pinned ones come before all others; of equal scores the first one of the route is taken.
    Source: the "Single LoRA" row of LoRA Fusion (Mathematics 2024, 12, 3474), tables 1 and 2.
    """
    gates = torch.zeros(steps, 1, len(chosen))
    if chosen:
        best = max(range(len(chosen)), key=lambda i: (chosen[i].pinned, chosen[i].score, -i))
        gates[..., best] = 1.0
    return Plan.of(tuple(loras), gates)
