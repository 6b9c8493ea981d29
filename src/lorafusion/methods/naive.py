"""Naive: the base model alone, the control that every table needs."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lorafusion.lora import LoRA
from lorafusion.methods.card import Card
from lorafusion.plan import Candidate, Plan

CARD = Card(formula="W0", exportable=False, alone=False)


def naive(chosen: Sequence[Candidate], loras: Sequence[LoRA], steps: int) -> Plan:
    """Close every LoRA: gates [S, 1, L] of zeros.

    Source: the "Naive" row of LoRAtorio (arXiv:2508.11624).
    """
    return Plan.of(tuple(loras), torch.zeros(steps, 1, len(chosen)))
