"""NP-LoRA: what a content LoRA does inside the style LoRA's subspace is taken back, softly.

Chen et al., "NP-LoRA: Null Space Projection for Subject-Style LoRA Fusion", arXiv:2511.11051, section 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.errors import BadOption
from lorafusion.lora import Delta, LoRA, LowRank, stacked
from lorafusion.methods.card import Card
from lorafusion.methods.pair import content_and_style
from lorafusion.methods.rewrite import Part, rewritten
from lorafusion.methods.shares import shares
from lorafusion.plan import Candidate, Plan

CARD = Card(
    formula="W0 + D_style + D_content (I - mu / (1 + mu) V V^T), V spanning the rows of D_style",
    exportable=True,
    pairs=True,
    rewrites=True,
)


def np_lora(
    chosen: Sequence[Candidate],
    loras: Sequence[LoRA],
    steps: int,
    *,
    mu: float = 0.5,
    weights: str = "equal",
) -> Plan:
    """Project the content LoRA away from the rows of the style LoRA: gates [S, 1, 1] of ones.

    mu 0 is a plain sum, mu without end the hard projection into the null space. The LoRA of category
    style is the style, of two others the second.

    Args:
        chosen: two routed LoRAs; none, or one, is left as it is.
        loras: the same LoRAs, read.
        steps: denoising steps S.
        mu: how hard the projection is, at least 0.
        weights: "equal" for 1 each, "routed" for the route's weights.

    Raises:
        BadOption: more than two LoRAs, mu under 0, another word for weights, or a DoRA.
    """
    if not mu >= 0:
        raise BadOption(
            f"mu is {mu}; np-lora takes 0 for a plain sum, up to inf for a hard projection"
        )
    given = shares("np-lora", chosen, weights)
    style = content_and_style("np-lora", chosen)[1] if len(chosen) > 1 else 0
    share = 1.0 if math.isinf(mu) else mu / (1 + mu)

    def projected(_: str, parts: Sequence[Part]) -> Delta:
        rows = [part.low for part in parts if part.index == style]
        return stacked(
            [
                (part.weight, part.low if part.index == style else away(part.low, rows, share))
                for part in parts
            ]
        )

    return rewritten("np-lora", loras, given, steps, projected)


def away(change: LowRank, others: Sequence[LowRank], share: float) -> LowRank:
    """The change with this share of what it does along the rows of the others taken back."""
    down: Float[Tensor, "r n"] = change.down.double().flatten(1)
    for other in others:
        _, sizes, rows = torch.linalg.svd(other.down.double().flatten(1), full_matrices=False)
        v = rows[sizes > sizes[0] * 1e-7]  # [r, n], orthonormal
        down = down - share * (down @ v.T) @ v
    return LowRank(down.float().reshape(change.down.shape), change.up.float(), change.scale)
