"""SVDiff: LoRAs as changes of the base weights' singular values, added or interpolated.

Han et al., "SVDiff: Compact Parameter Space for Diffusion Fine-Tuning", ICCV 2023, arXiv:2303.11305,
equation 1 and section 3.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.base import Base
from lorafusion.errors import BadOption
from lorafusion.lora import Delta, Dense, LoRA, LowRank, Spectral, spectrum
from lorafusion.methods.card import Card
from lorafusion.methods.rewrite import Part, rewritten
from lorafusion.methods.shares import shares
from lorafusion.plan import Candidate, Plan

CARD = Card(
    formula="W0 = U diag(s) V^T;  U diag(relu(s + sum_l w_l d_l)) V^T,  d_l = diag(U^T D_l V)",
    exportable=True,
    alone=False,
    base=True,
    rewrites=True,
)
KEPT = "lorafusion.kept_energy"
"""Key of the metadata: the share of the LoRAs' energy that their projection keeps."""


def svdiff(
    chosen: Sequence[Candidate],
    loras: Sequence[LoRA],
    steps: int,
    *,
    combine: str = "add",
    weights: str = "equal",
    base: Base | None = None,
) -> Plan:
    """Project each LoRA on the base's spectrum, and combine the shifts: gates [S, 1, 1] of ones.

    Shifts that were trained, as in the paper, are taken as they are (`lorafusion.lora.Spectral`). LoRAs
    were trained freely, and d_l is what of them such a shift can say, the nearest one in the
    least-squares sense. That is little: of a random change of an n x n weight 1/n of the energy. How
    much, is in the made LoRA's metadata, so that nobody takes the result for the paper's.

    Args:
        chosen: L routed LoRAs.
        loras: the same LoRAs, read.
        steps: denoising steps S.
        combine: "add" for s + sum_l w_l d_l, "interpolate" to divide the w_l by their sum.
        weights: "equal" for 1 each, "routed" for the route's weights.
        base: whose weights are decomposed; needed where there is a LoRA.

    Raises:
        BadOption: no base, another word, weights that sum to nothing, or a DoRA.
    """
    if combine not in ("add", "interpolate"):
        raise BadOption(f"combine is {combine!r}; svdiff knows 'add' and 'interpolate'")
    given = shares("svdiff", chosen, weights)
    if loras and base is None:
        raise BadOption(
            "svdiff decomposes the base model's weights; give base, as lf.generate does by itself"
        )
    if combine == "interpolate" and given:
        if not sum(given) > 0:
            raise BadOption("the routed weights sum to 0; svdiff cannot interpolate with them")
        given = [weight / sum(given) for weight in given]
    energy = [0.0, 0.0]

    def shifted(target: str, parts: Sequence[Part]) -> Delta:
        assert base is not None, "refused above"
        weight = base.weight(target)
        left, sizes, right = spectrum(weight)
        shifts = []
        for part in parts:
            shifts.append(part.weight * projected(part.low, left, right))
            energy[0] += float(shifts[-1].square().sum())
            energy[1] += part.weight**2 * _energy(part.low)
        new = (sizes + torch.stack(shifts).sum(0)).clamp(min=0)
        return Dense(((left * (new - sizes)) @ right).float().reshape(weight.shape))

    plain = [_spelled_out(lora, base) for lora in loras]
    plan = rewritten("svdiff", plain, given, steps, shifted)
    return _telling(plan, energy[0] / energy[1] if energy[1] else 1.0)


def projected(
    change: LowRank, left: Float[Tensor, "o n"], right: Float[Tensor, "n i"]
) -> Float[Tensor, " n"]:
    """d_k = u_k^T D v_k, without forming D: argmin over d of the norm of U diag(d) V^T - D."""
    up, down = change.up.double().flatten(1), change.down.double().flatten(1)
    return change.scale * ((left.T @ up) * (right @ down.T)).sum(1)


def _spelled_out(lora: LoRA, base: Base | None) -> LoRA:
    """The LoRA with its trained shifts d as the changes U diag(d) V^T, which project back on d."""
    deltas = dict(lora.deltas)
    for target, delta in lora.deltas.items():
        if isinstance(delta, Spectral) and base is not None:
            weight = base.weight(target)
            left, _, right = spectrum(weight)
            fitted = delta.fitted(tuple(weight.shape))
            change = (left * fitted.shift.double()) @ right
            deltas[target] = Dense(change.reshape(weight.shape))
    return replace(lora, deltas=deltas)


def _energy(change: LowRank) -> float:
    up, down = change.up.double().flatten(1), change.down.double().flatten(1)
    return float(((up.T @ up) * (down @ down.T)).sum()) * change.scale**2


def _telling(plan: Plan, kept: float) -> Plan:
    """The plan with what the projection kept in the metadata of its LoRA."""
    told = (replace(lora, metadata={**lora.metadata, KEPT: f"{kept:.6g}"}) for lora in plan.loras)
    return replace(plan, loras=tuple(told))
