"""MoLE: in every block of the denoiser a learned gate decides how far each LoRA is open.

Wu et al., "Mixture of LoRA Experts", ICLR 2024, arXiv:2404.13628, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lorafusion.errors import BadOption
from lorafusion.gating import LearnedGates
from lorafusion.lora import LoRA
from lorafusion.methods.card import Calls, Card
from lorafusion.plan import Candidate, Plan

CARD = Card(
    formula="per block: F(x) + sum_l G_l E_l(x), G = softmax(e^T Norm([E_l(x)]) / tau)",
    calls=Calls(0, 1),
    training="gates, for this set of LoRAs",
)


def mole(
    chosen: Sequence[Candidate],
    loras: Sequence[LoRA],
    steps: int,
    *,
    gates: LearnedGates | None = None,
) -> Plan:
    """Open all LoRAs, and let the learned gates weigh them block by block: gates [S, 1, L] of ones.

    The denoiser is called once a step, each gated block in it L + 1 times. LoRAs that the gates were
    trained for and that are not chosen are masked, and the others' gates renormalised.

    Args:
        chosen: L routed LoRAs.
        loras: the same LoRAs, read.
        steps: denoising steps S.
        gates: trained for these LoRAs, perhaps among others.

    Raises:
        BadOption: no gates, or a LoRA that they were not trained for.
    """
    if not loras:
        return Plan.of((), torch.zeros(steps, 1, 0))
    if not isinstance(gates, LearnedGates):
        raise BadOption(f"gates is {gates!r}; mole needs the LearnedGates trained for its LoRAs")
    strangers = [one.name for one in chosen if one.name not in gates.names]
    if strangers:
        raise BadOption(
            f"the gates were trained for {', '.join(gates.names)}, not for {', '.join(strangers)}; "
            "train gates for this set, or leave it out"
        )
    return Plan.of(tuple(loras), torch.ones(steps, 1, len(loras))).with_learned(gates)
