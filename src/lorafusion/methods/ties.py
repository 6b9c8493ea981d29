"""TIES: trim each LoRA's change, elect a sign for each number, average those that agree.

Yadav et al., "TIES-Merging: Resolving Interference When Merging Models", arXiv:2306.01708, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.lora import Delta, Dense, LoRA
from lorafusion.methods.card import Card
from lorafusion.methods.prune import largest
from lorafusion.methods.rewrite import Part, rewritten
from lorafusion.methods.shares import check_share, shares
from lorafusion.plan import Candidate, Plan

CARD = Card(
    formula="W0 + mean over l of w_l top(D_l) where its sign is that of sum_l top(D_l)",
    exportable=True,
    alone=False,
    rewrites=True,
)


def ties(
    chosen: Sequence[Candidate],
    loras: Sequence[LoRA],
    steps: int,
    *,
    density: float = 0.2,
    weights: str = "equal",
) -> Plan:
    """Trim, elect, merge, number by number: gates [S, 1, 1] of ones; `strength` is the paper's lambda.

    The paper merges whole models; here D_l = scale · up @ down takes the place of their differences.
    peft's `ties` trims the factors apart, its `ties_svd` does this and cuts the rank.

    Args:
        chosen: L routed LoRAs.
        loras: the same LoRAs, read.
        steps: denoising steps S.
        density: the share of the numbers that the trimming keeps; 0.2 in the paper.
        weights: "equal" for 1 each, "routed" for the route's weights.

    Raises:
        BadOption: density out of range, another word for weights, or a DoRA.
    """
    check_share("ties", "density", density)

    def merged(_: str, parts: Sequence[Part]) -> Delta:
        trimmed = torch.stack([largest(part.delta.dense(), density) for part in parts])
        return Dense(elected(trimmed, [part.weight for part in parts]))

    return rewritten("ties", loras, shares("ties", chosen, weights), steps, merged)


def elected(
    changes: Float[Tensor, "l *shape"], weights: Sequence[float]
) -> Float[Tensor, "*shape"]:
    """The mean of those numbers that have the sign of their sum, each times its weight."""
    sign = torch.where(changes.sum(0) >= 0, 1.0, -1.0)
    agree = (changes.sign() == sign).to(changes.dtype)
    factors = changes.new_tensor(list(weights)).reshape(-1, *(1,) * (changes.ndim - 1))
    return (changes * agree * factors).sum(0) / agree.sum(0).clamp(min=1)
