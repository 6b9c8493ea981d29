"""Prune: only the largest numbers of each LoRA's change, added up.

The first step of TIES alone (arXiv:2306.01708, section 4.1); `magnitude_prune` of peft.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.lora import Delta, Dense, LoRA
from lorafusion.methods.card import Card
from lorafusion.methods.rewrite import Part, rewritten
from lorafusion.methods.shares import check_share, shares
from lorafusion.plan import Candidate, Plan

CARD = Card(
    formula="W0 + sum_l w_l top(D_l), top keeping a share of the numbers, the largest",
    exportable=True,
    alone=False,
    rewrites=True,
)


def prune(
    chosen: Sequence[Candidate],
    loras: Sequence[LoRA],
    steps: int,
    *,
    density: float = 0.5,
    weights: str = "equal",
) -> Plan:
    """Keep the share `density` of each D_l = scale · up @ down, and add: gates [S, 1, 1] of ones.

    peft prunes the factors `up` and `down` apart, which is not pruning the change; here D_l itself is
    formed and pruned.

    Args:
        chosen: L routed LoRAs.
        loras: the same LoRAs, read.
        steps: denoising steps S.
        density: the share of the numbers that is kept, over 0 and up to 1.
        weights: "equal" for 1 each, "routed" for the route's weights.

    Raises:
        BadOption: density out of range, another word for weights, or a DoRA.
    """
    check_share("prune", "density", density)

    def pruned(_: str, parts: Sequence[Part]) -> Delta:
        kept = [part.weight * largest(part.delta.dense(), density) for part in parts]
        return Dense(torch.stack(kept).sum(0))

    return rewritten("prune", loras, shares("prune", chosen, weights), steps, pruned)


def largest(change: Float[Tensor, "*shape"], density: float) -> Float[Tensor, "*shape"]:
    """The change with all but the largest int(density · n) of its n numbers set to 0."""
    flat = change.flatten()
    keep = flat.abs().topk(int(density * flat.numel())).indices
    return torch.zeros_like(flat).index_copy(0, keep, flat[keep]).reshape(change.shape)
