"""K-LoRA: in every layer and step either the content or the style, whichever has the larger numbers there.

Ouyang et al., "K-LoRA: Unlocking Training-Free Fusion of Any Subject and Style LoRAs", arXiv:2502.18461,
equations 5 to 9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from lorafusion.errors import BadOption
from lorafusion.lora import SOURCES, LoRA, sources_text
from lorafusion.methods.card import Card
from lorafusion.methods.pair import content_and_style
from lorafusion.methods.rewrite import free
from lorafusion.plan import Candidate, Plan

CARD = Card(
    formula="per layer and step: D_content if (K_c / g) / (K_s (alpha s / S + beta)) > 1, else D_style",
    pairs=True,
)


def k_lora(
    chosen: Sequence[Candidate],
    loras: Sequence[LoRA],
    steps: int,
    *,
    alpha: float = 1.5,
    beta: float = 0.5,
) -> Plan:
    """Let one LoRA act in each layer: gates [S, 1, P] over pieces of the two LoRAs.

    K is the sum of the k largest numbers of |D| in a layer, k the product of the two ranks there, g the
    ratio of the sums of |D_content| and |D_style| over all layers. The step's factor grows from
    beta to alpha + beta, so that a layer changes at most once, from content to style. Layers that
    change after the same step are one piece, a LoRA with these layers alone; so gates per layer
    need no other Plan. The published code counts calls of layers instead of steps and works with
    k = 64; text encoders, which have no steps, are given both LoRAs here.

    Args:
        chosen: two routed LoRAs; none, or one, is left as it is.
        loras: the same LoRAs, read.
        steps: denoising steps S.
        alpha: how much the style gains towards the end.
        beta: how much it counts at the start, over 0.

    Raises:
        BadOption: more than two LoRAs, alpha under 0, beta not over 0, or a DoRA.
    """
    if alpha < 0 or beta <= 0:
        raise BadOption(
            f"alpha is {alpha} and beta {beta}; k-lora takes alpha from 0 and beta over 0"
        )
    if len(chosen) < 2:
        return Plan.of(tuple(loras), torch.ones(steps, 1, len(loras)))
    content, style = (loras[i] for i in content_and_style("k-lora", chosen))
    factors = alpha * torch.arange(steps) / steps + beta
    ends = {target: int((lead > factors).sum()) for target, lead in _leads(content, style).items()}
    pieces: list[LoRA] = []
    rows = []
    for lora, first in ((content, True), (style, False)):
        for end in sorted({ends.get(target, -1) for target in lora.deltas}):
            pieces.append(_piece(lora, [t for t in lora.deltas if ends.get(t, -1) == end]))
            acts = torch.arange(steps) < end if first else torch.arange(steps) >= end
            rows.append(acts.float() if end >= 0 else torch.ones(steps))
    gates = torch.stack(rows, dim=1).unsqueeze(1) if rows else torch.zeros(steps, 1, 0)
    # The prompt is encoded before the first step, with all that changes the encoders.
    return replace(Plan.of(tuple(pieces), gates), text_gates=torch.ones_like(gates))


def _leads(content: LoRA, style: LoRA) -> dict[str, float]:
    """(K_c / g) / K_s of each layer of the denoiser that both change."""
    both = [
        target
        for target in content.deltas
        if target in style.deltas and not target.startswith("text_encoder")
    ]
    sizes = {target: (_size(content, target), _size(style, target)) for target in both}
    whole = [sum(float(size[i].sum()) for size in sizes.values()) for i in (0, 1)]
    ratio = whole[0] / whole[1] if all(whole) else 1.0
    leads = {}
    for target, (ours, theirs) in sizes.items():
        count = max(content.deltas[target].rank * style.deltas[target].rank, 1)
        top = [float(size.topk(min(count, size.numel())).values.sum()) for size in (ours, theirs)]
        leads[target] = top[0] / ratio / top[1] if top[1] else float("inf")
    return leads


def _size(lora: LoRA, target: str) -> torch.Tensor:
    return free(lora, target).dense().flatten().abs()


def _piece(lora: LoRA, targets: Sequence[str]) -> LoRA:
    share = len(targets) / len(lora.deltas)
    return LoRA(
        f"{lora.name}, {len(targets)} of {len(lora.deltas)} layers from {targets[0]}",
        {target: lora.deltas[target] for target in targets},
        family=lora.family,
        category=lora.category,
        triggers=lora.triggers,
        metadata={SOURCES: sources_text([lora], [share])},
    )
