"""Auto: all LoRAs at once, each as strong as the prompt asks; more parts can be switched on.

Ours. It joins the routed weights of LoRA Fusion (Mathematics 2024, 12, 3474) with room between LoRAs, a budget of
strength, evened sizes, timing by category and the router of SSR-Merge (arXiv:2606.10617). `python -m
benchmarks.methods compare` measures it, and with `--tried` each part: `docs/methods/comparison.md`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lorafusion.base import Base
from lorafusion.errors import BadOption
from lorafusion.lora import LoRA
from lorafusion.methods.card import Card
from lorafusion.methods.purify import purified
from lorafusion.methods.strengths import asked, evened, room, within
from lorafusion.methods.timing import ramps
from lorafusion.plan import Candidate, Plan

CARD = Card(
    formula="W0 + sum_l g_l D_l;  g_l = w_l, the weight that the prompt gives",
    exportable=True,
    base=True,
)


def auto(
    chosen: Sequence[Candidate],
    loras: Sequence[LoRA],
    steps: int,
    *,
    reach: float = 0.0,
    budget: float = 0.0,
    even: float = 0.0,
    tilt: float = 0.0,
    purify: bool = False,
    ridge: float = 1e-4,
    base: Base | None = None,
) -> Plan:
    """Open every LoRA at once, at a strength and a time of its own: gates [S, 1, L].

    One call of the denoiser a step, however many LoRAs there are. A single LoRA acts as merged. With
    tilt 0 the plan is one LoRA, which can be exported.

    Args:
        chosen: L routed LoRAs.
        loras: the same LoRAs, read.
        steps: denoising steps S.
        reach: among how many others a style acts in full; among more its strength falls as their number
            grows, to min(1, reach / (L - 1)). For styles that overwrite what the others draw. 0 for no bound.
        budget: what the strengths may sum to; 0 for no bound.
        even: how far LoRAs of different size are brought together, 0 to 1.
        tilt: how much places act earlier and styles later, 0 to 1.
        purify: take away what each LoRA does to the others' signals (`ssr`), keeping them apart.
        ridge: as for `ssr`.
        base: whose signals are measured; needed with two LoRAs and more where `purify` is on.

    Raises:
        BadOption: an option out of its range, no base, or a DoRA where `purify` is on.
    """
    if min(reach, budget) < 0 or not 0 <= even <= 1 or not 0 <= tilt <= 1 or not ridge > 0:
        raise BadOption(
            f"reach is {reach}, budget {budget}, even {even}, tilt {tilt}, ridge {ridge}; auto takes reach and budget "
            "from 0, even and tilt 0 to 1, ridge over 0"
        )
    if not chosen:
        return Plan.of((), torch.zeros(steps, 1, 0))
    categories = [candidate.source.category for candidate in chosen]
    strengths = within(asked(chosen) * evened(loras, even) * room(categories, reach), budget)
    # A LoRA alone has no one to make room for.
    several = tilt if len(chosen) > 1 else 0.0
    gates = strengths * ramps(categories, steps, several)
    if purify and len(loras) > 1:
        if base is None:
            raise BadOption(
                "auto measures the base model's signals; give base, or leave purify off"
            )
        loras = purified(chosen, loras, base, ridge)
    return Plan.of(tuple(loras), gates.unsqueeze(1))
