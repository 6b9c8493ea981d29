"""Purified LoRAs: SSR-Merge's router, taken apart again, so that each LoRA keeps a gate of its own.

B R A = sum_l B_l R_l A, R_l being the rows of the router that belong to LoRA l (arXiv:2606.10617, section 3): each
term is a LoRA of the stacked rank that acts where its own signal is and keeps still where another's is.
The paper merges at once; this lets the terms have weights and times.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lorafusion.base import Base
from lorafusion.lora import SOURCES, Delta, LoRA, LowRank, sources_text, truncated
from lorafusion.methods.rewrite import free
from lorafusion.methods.ssr import router, signals_of
from lorafusion.plan import Candidate


def purified(
    chosen: Sequence[Candidate], loras: Sequence[LoRA], base: Base, ridge: float = 1e-4
) -> tuple[LoRA, ...]:
    """The LoRAs without what they do to each other's signals; their sum is `ssr`.

    Raises:
        BadOption: a DoRA.
    """
    if len(loras) < 2:
        return tuple(loras)
    seen = signals_of(chosen, loras, base)
    deltas: list[dict[str, Delta]] = [{} for _ in loras]
    for target in dict.fromkeys(target for lora in loras for target in lora.deltas):
        owners = [i for i, lora in enumerate(loras) if target in lora.deltas]
        if len(owners) == 1 or target not in seen[owners[0]]:
            for i in owners:
                deltas[i][target] = loras[i].deltas[target]
            continue
        parts = [_low(loras[i], target) for i in owners]
        route = router(
            [seen[i][target] for i in owners], [p.rank for p in parts], [1.0] * len(parts), ridge
        )
        for i, own in zip(owners, _terms(parts, route), strict=True):
            deltas[i][target] = own
    return tuple(
        LoRA(
            f"{lora.name}, purified",
            found,
            family=lora.family,
            category=lora.category,
            triggers=lora.triggers,
            metadata={SOURCES: sources_text([lora], [1.0])},
        )
        for lora, found in zip(loras, deltas, strict=True)
    )


def _low(lora: LoRA, target: str) -> LowRank:
    delta = free(lora, target)
    return delta if isinstance(delta, LowRank) else truncated(delta)[0]


def _terms(parts: Sequence[LowRank], route: torch.Tensor) -> list[LowRank]:
    """B_l R_l A for each of the parts."""
    shape = parts[0].shape
    fitted = [part.fitted(shape) for part in parts]
    down = torch.cat([part.down.float() for part in fitted])
    terms, start = [], 0
    for part in fitted:
        up = part.scale * part.up.double().flatten(1) @ route[start : start + part.rank]
        terms.append(LowRank(down, up.float().reshape(*up.shape, *part.up.shape[2:]), 1.0))
        start += part.rank
    return terms
