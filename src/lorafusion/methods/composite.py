"""Composite: one prediction per LoRA in every step, averaged.

Zhong et al., "Multi-LoRA Composition for Image Generation", arXiv:2402.16843, section 3 (LoRA Composite).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lorafusion.errors import BadOption
from lorafusion.lora import LoRA
from lorafusion.methods.card import Calls, Card
from lorafusion.plan import Candidate, Plan

CARD = Card(formula="e = sum_l e_l / L", calls=Calls(1, 0))


def composite(
    chosen: Sequence[Candidate], loras: Sequence[LoRA], steps: int, *, weights: str = "equal"
) -> Plan:
    """Give every LoRA a branch of its own, fully open: gates [S, L, L] is the identity.

    The branches' predictions are averaged where the denoiser is called. Guidance is linear, so that
    this is the paper's mean of guided scores, with guidance on or off.

    Args:
        chosen: L routed LoRAs.
        loras: the same LoRAs, read.
        steps: denoising steps S.
        weights: "equal" for 1/L, as published; "routed" for the route's weights, the w_i of the
            paper, divided by their sum so that the prediction keeps its scale.

    Raises:
        BadOption: another word for weights, or routed weights that sum to nothing.
    """
    count = len(chosen)
    if weights not in ("equal", "routed"):
        raise BadOption(f"weights is {weights!r}; composite knows 'equal' and 'routed'")
    if not count:
        return Plan.of((), torch.zeros(steps, 1, 0))
    share = torch.ones(count)
    if weights == "routed":
        share = torch.tensor([candidate.weight for candidate in chosen])
        if not share.sum() > 0:
            raise BadOption("the routed weights sum to 0; composite cannot average with them")
    mix = (share / share.sum()).expand(steps, count)
    return Plan.of(tuple(loras), torch.eye(count).expand(steps, count, count), mix)
