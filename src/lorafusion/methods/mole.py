"""MoLE: in every block of the denoiser a learned gate decides how far each LoRA is open.

Wu et al., "Mixture of LoRA Experts", ICLR 2024, arXiv:2404.13628, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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
    gates: LearnedGates | str | None = None,
) -> Plan:
    """Open all LoRAs, and let the learned gates weigh them block by block: gates [S, 1, L] of ones.

    The denoiser is called once a step, each gated block in it L + 1 times. LoRAs that the gates were
    trained for and that are not chosen are masked, and the others' gates renormalised.

    Args:
        chosen: L routed LoRAs.
        loras: the same LoRAs, read.
        steps: denoising steps S.
        gates: trained for these LoRAs, perhaps among others; `plan` reads them where it is given the
            path of their file.

    Raises:
        BadOption: no gates, or a LoRA that they were not trained for.
    """
    if not loras:
        return Plan.of((), torch.zeros(steps, 1, 0))
    names = [one.name for one in chosen]
    if not isinstance(gates, LearnedGates):
        raise BadOption(
            f"mole needs gates trained for its LoRAs, and gates is {gates!r}; make them with lorafusion train gates "
            f"{' '.join(names)} --out gates.safetensors, and give --option gates=gates.safetensors"
        )
    strangers = [name for name in names if name not in gates.names]
    if strangers:
        raise BadOption(
            f"the gates were trained for {', '.join(gates.names)}, not for {', '.join(strangers)}; train gates for "
            f"this set with lorafusion train gates {' '.join(names)}, or leave it out"
        )
    for name, lora in zip(names, loras, strict=True):
        trained = gates.hashes.get(name, "")
        if trained and lora.sha256 and trained != lora.sha256:
            raise BadOption(
                f"the gates were trained for another file called {name} (sha256 {trained[:12]}, now "
                f"{lora.sha256[:12]}); train gates for this set anew"
            )
    # The gates know the LoRAs by their names in the route.
    called = tuple(replace(lora, name=name) for name, lora in zip(names, loras, strict=True))
    return Plan.of(called, torch.ones(steps, 1, len(loras))).with_learned(gates)
