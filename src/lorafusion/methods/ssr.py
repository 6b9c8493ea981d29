"""SSR-Merge: a router between the LoRAs' inner signals, in closed form, undoes what they do to each other.

Wei et al., "SSR-Merge: Subspace Signal Routing for Training-Free LoRA Merging in Diffusion Models", ICML
2026, arXiv:2606.10617, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.base import Base
from lorafusion.errors import BadOption
from lorafusion.lora import Delta, LoRA, LowRank, truncated
from lorafusion.methods.card import Card
from lorafusion.methods.rewrite import Part, free, rewritten
from lorafusion.methods.shares import shares
from lorafusion.plan import Candidate, Plan

CARD = Card(
    formula="A = [A_l], B = [B_l], z = A x;  W0 + B R A,  R = Q (G + r I)^-1,  G = mean z z^T,  Q_l = mean z_l z^T",
    exportable=True,
    base=True,
    rewrites=True,
)


def ssr(
    chosen: Sequence[Candidate],
    loras: Sequence[LoRA],
    steps: int,
    *,
    ridge: float = 1e-4,
    weights: str = "equal",
    base: Base | None = None,
) -> Plan:
    """Stack the LoRAs and route between their ranks: gates [S, 1, 1] of ones; R = I is the plain sum.

    R is the least-squares answer to: for what LoRA l sees while it draws its own phrase, the merged
    change shall be what LoRA l alone does (times w_l with routed weights, which is ours). The paper's r
    is a number, 1e-4; here it is that share of the mean of G's eigenvalues, so that it
    means the same in every layer. Means are taken over layers' inputs of every step of the sampling that the
    base gives, text encoders included, each LoRA counting equally.

    Args:
        chosen: L routed LoRAs; the phrase that asked for each is what it is calibrated on.
        loras: the same LoRAs, read.
        steps: denoising steps S.
        ridge: how much is added to G's diagonal, over 0.
        weights: "equal" for 1 each, "routed" for the route's weights.
        base: what the signals are taken from; needed with two LoRAs and more.

    Raises:
        BadOption: no base, ridge not over 0, another word for weights, or a DoRA.
    """
    if not ridge > 0:
        raise BadOption(f"ridge is {ridge}; ssr takes a number over 0, such as 0.0001")
    given = shares("ssr", chosen, weights)
    if len(loras) > 1 and base is None:
        raise BadOption(
            "ssr measures the base model's signals; give base, as lf.generate does by itself"
        )
    seen = [] if base is None or len(loras) < 2 else signals_of(chosen, loras, base)

    def routed(target: str, parts: Sequence[Part]) -> Delta:
        low = [part.low for part in parts]
        up = torch.cat([delta.scale * delta.up.double().flatten(1) for delta in low], dim=1)
        if len(parts) == 1:
            route = torch.eye(up.shape[1], dtype=torch.float64) * parts[0].weight
        else:
            matrices = [seen[part.index][target] for part in parts]
            ranks = [delta.rank for delta in low]
            route = router(matrices, ranks, [part.weight for part in parts], ridge)
        down = torch.cat([delta.down.float() for delta in low])
        return LowRank(down, (up @ route).float().reshape(*up.shape, *low[0].up.shape[2:]), 1.0)

    return rewritten("ssr", loras, given, steps, routed)


def router(
    signals: Sequence[Float[Tensor, "r r"]],
    ranks: Sequence[int],
    weights: Sequence[float],
    ridge: float,
) -> Float[Tensor, "r r"]:
    """R = Q (G + r I)^-1.

    Args:
        signals: for each LoRA, the mean of z z^T while it draws alone.
        ranks: how many of the R directions belong to each, in order.
        weights: the share that each is to have.
        ridge: as a share of the mean eigenvalue of G.
    """
    whole = torch.stack(list(signals)).mean(0)
    rows, start = [], 0
    for own, rank, weight in zip(signals, ranks, weights, strict=True):
        rows.append(own[start : start + rank] * (weight / len(signals)))
        start += rank
    size = whole.diagonal().mean()
    if not size > 0:  # nothing ever passes here, so nothing can interfere
        return torch.diag(
            torch.cat([whole.new_full((r,), w) for r, w in zip(ranks, weights, strict=True)])
        )
    regular = whole + ridge * size * torch.eye(len(whole), dtype=whole.dtype)
    return torch.linalg.solve(regular, torch.cat(rows).T).T


def signals_of(
    chosen: Sequence[Candidate], loras: Sequence[LoRA], base: Base
) -> list[dict[str, Tensor]]:
    """For each LoRA, target -> mean of z z^T, where more than one LoRA acts."""
    probes: dict[str, Tensor] = {}
    for target, count in _counts(loras).items():
        first = next(lora.deltas[target] for lora in loras if target in lora.deltas)
        if count > 1 and len(first.shape) > 1:
            probes[target] = torch.cat(
                [_down(lora, target, tuple(first.shape)) for lora in loras if target in lora.deltas]
            )
    return [
        base.signals(lora, _text(candidate, lora), probes)
        for candidate, lora in zip(chosen, loras, strict=True)
    ]


def _counts(loras: Sequence[LoRA]) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for lora in loras:
        for target in lora.deltas:
            counts[target] = counts.get(target, 0) + 1
    return counts


def _down(lora: LoRA, target: str, shape: tuple[int, ...]) -> Tensor:
    fitted = free(lora, target).fitted(shape)
    return (fitted if isinstance(fitted, LowRank) else truncated(fitted)[0]).down.float()


def _text(candidate: Candidate, lora: LoRA) -> str:
    return candidate.phrase or (lora.triggers[0] if lora.triggers else candidate.name)
