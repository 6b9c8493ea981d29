"""How strong each LoRA is to be: its weight, evened by its size, with room for others, within a budget for all."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.lora import DoRA, LoRA, LowRank, Spectral
from lorafusion.plan import Candidate


def evened(loras: Sequence[LoRA], share: float) -> Float[Tensor, " l"]:
    """Factors that bring the LoRAs' sizes this share of the way to their geometric mean: [L].

    The size of a LoRA is the Frobenius norm of its change over all layers of the denoiser. Trained
    LoRAs differ in it about tenfold, and a weight of 1 means as much. DoRAs, whose size depends on
    the base, keep factor 1.
    """
    sizes = [size(lora) for lora in loras]
    known = [math.log(each) for each in sizes if each > 0]
    if not known:
        return torch.ones(len(loras))
    middle = sum(known) / len(known)
    return torch.tensor(
        [math.exp(share * (middle - math.log(each))) if each > 0 else 1.0 for each in sizes]
    )


def size(lora: LoRA) -> float:
    """The Frobenius norm of what it changes in the denoiser, from the thin factors where it has them."""
    total = 0.0
    for target, delta in lora.deltas.items():
        if target.startswith("text_encoder") or isinstance(delta, DoRA):
            continue
        if isinstance(delta, Spectral):
            total += float(delta.shift.double().square().sum())
        elif isinstance(delta, LowRank):
            up, down = delta.up.double().flatten(1), delta.down.double().flatten(1)
            total += float(((up.T @ up) * (down @ down.T)).sum()) * delta.scale**2
        else:
            total += float(delta.dense().square().sum())
    return math.sqrt(total)


def within(strengths: Float[Tensor, " l"], budget: float) -> Float[Tensor, " l"]:
    """The strengths, scaled down together where they sum to more than the budget; 0 for none: [L]."""
    total = float(strengths.sum())
    return strengths * (budget / total) if 0 < budget < total else strengths


def room(categories: Sequence[str], reach: float) -> Float[Tensor, " l"]:
    """Factors by which styles stand back among many others: min(1, reach / others) for a style, else 1: [L].

    Args:
        categories: of the L LoRAs.
        reach: among how many others a style acts in full; 0 for no bound.
    """
    others = len(categories) - 1
    share = min(1.0, reach / others) if reach > 0 and others > 0 else 1.0
    return torch.tensor([share if category == "style" else 1.0 for category in categories])


def asked(chosen: Sequence[Candidate]) -> Float[Tensor, " l"]:
    """The route's weights: [L]."""
    return torch.tensor([candidate.weight for candidate in chosen])
