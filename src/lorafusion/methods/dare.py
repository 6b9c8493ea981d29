"""DARE: drop numbers of each LoRA's change by chance, and rescale what is left.

Yu et al., "Language Models are Super Mario", arXiv:2311.03099, section 3.2, equation 1.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.lora import Delta, Dense, LoRA
from lorafusion.methods.card import Card
from lorafusion.methods.rewrite import Part, rewritten
from lorafusion.methods.shares import check_share, shares
from lorafusion.methods.ties import elected
from lorafusion.plan import Candidate, Plan

CARD = Card(
    formula="W0 + sum_l w_l m_l D_l / d, with m_l 1 at a share d of the numbers by chance, else 0",
    exportable=True,
    alone=False,
    rewrites=True,
)


def dare(
    chosen: Sequence[Candidate],
    loras: Sequence[LoRA],
    steps: int,
    *,
    density: float = 0.5,
    elect: bool = False,
    seed: int = 0,
    weights: str = "equal",
) -> Plan:
    """Keep each number of D_l with the chance `density`, divided by it: gates [S, 1, 1] of ones.

    The paper drops nine in ten of the numbers of whole language models, whose differences are tiny;
    an image LoRA's are not, so half are kept unless told otherwise. The draw belongs to the LoRA's
    name and the target, so that neither order nor company changes it.

    Args:
        chosen: L routed LoRAs.
        loras: the same LoRAs, read.
        steps: denoising steps S.
        density: the chance of a number to be kept, 1 - p in the paper.
        elect: merge what is left as TIES does, by elected signs; the paper's DARE with TIES.
        seed: of the draw.
        weights: "equal" for 1 each, "routed" for the route's weights.

    Raises:
        BadOption: density out of range, another word for weights, or a DoRA.
    """
    check_share("dare", "density", density)

    def merged(target: str, parts: Sequence[Part]) -> Delta:
        kept = torch.stack(
            [drawn(part.delta.dense(), density, f"{seed} {part.name} {target}") for part in parts]
        )
        weighted = [part.weight for part in parts]
        if elect:
            return Dense(elected(kept, weighted))
        return Dense(torch.einsum("l,l...->...", kept.new_tensor(weighted), kept))

    return rewritten("dare", loras, shares("dare", chosen, weights), steps, merged)


def drawn(change: Float[Tensor, "*shape"], density: float, words: str) -> Float[Tensor, "*shape"]:
    """The change with each number kept with this chance, and rescaled; the same words, the same draw."""
    generator = torch.Generator().manual_seed(zlib.crc32(words.encode()))
    keep = torch.rand(change.shape, generator=generator) < density
    return torch.where(keep, change / density, 0.0)
