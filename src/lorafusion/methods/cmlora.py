"""CMLoRA: every LoRA predicts, and one after the other dominates the mean.

Zou et al., "Cached Multi-LoRA Composition for Multi-Concept Image Generation", ICLR 2025, arXiv:2502.04923,
sections 3.2 and 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lorafusion.errors import BadOption
from lorafusion.lora import LoRA
from lorafusion.methods.card import Calls, Card
from lorafusion.plan import Candidate, Plan

CARD = Card(
    formula="e = (w_d e_d + w_n sum of the others' e_l) / L, w_n = L / (c + L - 1), w_d = c w_n, c = L - 1/2",
    calls=Calls(1, 0),
    ordered=True,
)
EARLY = 0.6


def cmlora(
    chosen: Sequence[Candidate],
    loras: Sequence[LoRA],
    steps: int,
    *,
    period: int = 5,
    early: float = EARLY,
) -> Plan:
    """Composite with one dominant LoRA at a time: gates [S, L, L] the identity, mix [S, L] as above.

    The dominant one takes turns among style, character, clothing and object LoRAs in the first
    `early` part of the steps, then among backgrounds: the paper's ranking of LoRAs by frequency, by
    category. The paper also lets the others reuse deep features of earlier steps (its cache), which is
    faster and not what makes the picture; here all are predicted anew, so this costs L calls a
    step where theirs costs between 1 and L.

    Args:
        chosen: L routed LoRAs.
        loras: the same LoRAs, read.
        steps: denoising steps S.
        period: steps per turn of the dominant LoRA.
        early: the share of the steps in which LoRAs of detail dominate.

    Raises:
        BadOption: period < 1, or early outside of 0 to 1.
    """
    if period < 1:
        raise BadOption(f"period is {period}; a turn of cmlora takes at least 1 step")
    turns, count = dominant(chosen, steps, period, early), len(chosen)
    if not turns:
        return Plan.of((), torch.zeros(steps, 1, 0))
    lead = count - 0.5
    mix = torch.full((steps, count), 1 / (lead + count - 1))
    mix[torch.arange(steps), torch.tensor(turns)] *= lead
    return Plan.of(tuple(loras), torch.eye(count).expand(steps, count, count), mix)


def dominant(chosen: Sequence[Candidate], steps: int, period: int, early: float) -> list[int]:
    """Which LoRA leads in each step: [S], or nothing where there is no LoRA.

    Raises:
        BadOption: early outside of 0 to 1.
    """
    if not 0 <= early <= 1:
        raise BadOption(f"early is {early}; expected a share of the steps, 0 to 1")
    places = range(len(chosen))
    broad = [i for i in places if chosen[i].source.category == "background"]
    fine = [i for i in places if i not in broad]
    if not chosen:
        return []
    until = round(early * steps)
    return [
        group[step // period % len(group)]
        for step in range(steps)
        for group in [(fine or broad) if step < until else (broad or fine)]
    ]
