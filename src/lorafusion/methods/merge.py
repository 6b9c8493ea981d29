"""Merge: every LoRA at full strength at once, as `set_adapters` with weights of one does."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lorafusion.lora import LoRA
from lorafusion.methods.card import Card
from lorafusion.plan import Candidate, Plan

CARD = Card(formula="W0 + sum_l D_l", exportable=True)


def merge(chosen: Sequence[Candidate], loras: Sequence[LoRA], steps: int) -> Plan:
    """Open every chosen LoRA fully: W + sum_l delta_l, not divided by L; gates [S, 1, L] of ones.

    Source: "LoRA Merge" in arXiv:2402.16843, section 2.
    """
    return Plan.of(tuple(loras), torch.ones(steps, 1, len(chosen)))
