"""Fusion: every LoRA at the weight that the prompt gives it.

Choi, Im and Sung, "LoRA Fusion: Enhancing Image Generation", Mathematics 2024, 12, 3474.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lorafusion.lora import LoRA
from lorafusion.methods.card import Card
from lorafusion.plan import Candidate, Plan

CARD = Card(
    formula="W0 + sum_l w_l D_l, w the softmax of cosines with the router `cosine`", exportable=True
)


def fusion(chosen: Sequence[Candidate], loras: Sequence[LoRA], steps: int) -> Plan:
    """Open each LoRA by its routed weight: gates [S, 1, L].

    With the `cosine` router these are the paper's softmax over cos(Q, K_l) and the plan is its
    equation 1 and algorithm 1: V' = sum_l w_l V_l. The weights then sum to 1, so that L LoRAs share
    the strength of one; `strength` is the way to give them more. With the default router each LoRA
    that is clearly asked for has a weight of about 1, and this is a weighted merge.
    """
    weights = torch.tensor([candidate.weight for candidate in chosen])
    return Plan.of(tuple(loras), weights.expand(steps, 1, len(chosen)))
