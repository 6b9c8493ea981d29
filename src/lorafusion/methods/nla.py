"""NLA: normalized linear arithmetic, every LoRA at an equal share of one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lorafusion.lora import LoRA
from lorafusion.methods.card import Card
from lorafusion.plan import Candidate, Plan

CARD = Card(formula="W0 + sum_l D_l / L", exportable=True)


def nla(chosen: Sequence[Candidate], loras: Sequence[LoRA], steps: int) -> Plan:
    """Open each of the L chosen LoRAs by 1/L: gates [S, 1, L].

    Source: the NLA baseline of LoRA Fusion (Mathematics 2024, 12, 3474), table 2, after MoLE
    (arXiv:2404.13628), equation 2.
    """
    return Plan.of(tuple(loras), torch.full((steps, 1, len(chosen)), 1.0 / max(len(chosen), 1)))
