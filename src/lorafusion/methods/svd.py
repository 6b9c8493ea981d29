"""SVD: the best single LoRA of a given rank for the weighted sum of several.

Eckart and Young 1936, applied to sum_l w_l D_l; what "SVDiff uses SVD to merge LoRA models" in table 2 of LoRA
Fusion (Mathematics 2024, 12, 3474) describes, and `svd` of peft and svd_merge_lora.py of kohya's scripts do.
"""

from __future__ import annotations

from collections.abc import Sequence

from lorafusion.errors import BadOption
from lorafusion.lora import Delta, LoRA, stacked, truncated
from lorafusion.methods.card import Card
from lorafusion.methods.rewrite import Part, rewritten
from lorafusion.methods.shares import shares
from lorafusion.plan import Candidate, Plan

CARD = Card(
    formula="W0 + the r greatest singular directions of sum_l w_l D_l",
    exportable=True,
    rewrites=True,
)


def svd(
    chosen: Sequence[Candidate],
    loras: Sequence[LoRA],
    steps: int,
    *,
    rank: int = 0,
    weights: str = "equal",
) -> Plan:
    """Add the LoRAs, and cut each weight's change at a rank: gates [S, 1, 1] of ones.

    The sum is stacked, not formed, so that the cut costs what its ranks cost.

    Args:
        chosen: L routed LoRAs.
        loras: the same LoRAs, read.
        steps: denoising steps S.
        rank: how many directions to keep in each weight; 0 for the greatest rank that any of
            the LoRAs has there, so that the result is no larger than one of them.
        weights: "equal" for 1 each, "routed" for the route's weights.

    Raises:
        BadOption: rank under 0, another word for weights, or a DoRA.
    """
    if rank < 0:
        raise BadOption(
            f"rank is {rank}; svd keeps at least 1 direction, or 0 for the greatest rank"
        )

    def cut(_: str, parts: Sequence[Part]) -> Delta:
        low = [(part.weight, part.low) for part in parts]
        return truncated(stacked(low), rank or max(delta.rank for _, delta in low))[0]

    return rewritten("svd", loras, shares("svd", chosen, weights), steps, cut)
