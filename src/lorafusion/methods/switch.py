"""Switch: one LoRA at a time, taking turns over the denoising steps.

Zhong et al., "Multi-LoRA Composition for Image Generation", arXiv:2402.16843, section 3 (LoRA Switch).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from lorafusion.errors import BadOption
from lorafusion.lora import LoRA
from lorafusion.plan import Candidate, Plan


def switch(
    chosen: Sequence[Candidate], loras: Sequence[LoRA], steps: int, *, period: int = 5
) -> Plan:
    """Open LoRA floor(s / period) mod L in step s and close the others: gates [S, 1, L].

    Turns go in the order of the route, characters first where categories are known: the paper found
    that order the best. Its equation gives each LoRA exactly `period` steps a turn; the published
    code gives the first one a step more, which is not repeated here.

    Args:
        chosen: L routed LoRAs.
        loras: the same LoRAs, read.
        steps: denoising steps S.
        period: steps per turn, tau in the paper.

    Raises:
        BadOption: period < 1.
    """
    if period < 1:
        raise BadOption(f"period is {period}; a turn of switch takes at least 1 step")
    order = sorted(range(len(chosen)), key=lambda i: chosen[i].source.category != "character")
    if not order:
        return Plan.of((), torch.zeros(steps, 1, 0))
    turn = torch.tensor(order)[torch.arange(steps) // period % len(order)]
    return Plan.of(tuple(loras), functional.one_hot(turn, len(order)).unsqueeze(1).float())
