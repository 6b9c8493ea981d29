"""KnOTS: LoRAs are brought into one space by a singular value decomposition, and merged there by TIES.

Stoica et al., "Model merging with SVD to tie the Knots", arXiv:2410.19735, section 3, equations 2 to 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.lora import Delta, LoRA, LowRank
from lorafusion.methods.card import Card
from lorafusion.methods.prune import largest
from lorafusion.methods.rewrite import Part, rewritten
from lorafusion.methods.shares import check_share, shares
from lorafusion.methods.ties import elected
from lorafusion.plan import Candidate, Plan

CARD = Card(
    formula="[D_1 .. D_L] = U S [V_1 .. V_L];  W0 + U S TIES(V_1 .. V_L)",
    exportable=True,
    alone=False,
    rewrites=True,
)


def knots(
    chosen: Sequence[Candidate],
    loras: Sequence[LoRA],
    steps: int,
    *,
    density: float = 0.2,
    weights: str = "equal",
) -> Plan:
    """Align the LoRAs' changes in the columns of U, merge their V by TIES: gates [S, 1, 1] of ones.

    The result has the rank of the sum, and an exact file of low rank. `strength` is the paper's scale.

    Args:
        chosen: L routed LoRAs.
        loras: the same LoRAs, read.
        steps: denoising steps S.
        density: the share of the numbers of V_l that TIES keeps.
        weights: "equal" for 1 each, "routed" for the route's weights.

    Raises:
        BadOption: density out of range, another word for weights, or a DoRA.
    """
    check_share("knots", "density", density)

    def merged(_: str, parts: Sequence[Part]) -> Delta:
        space, views = aligned([part.low for part in parts])
        trimmed = torch.stack([largest(view, density) for view in views])
        down = elected(trimmed, [part.weight for part in parts])
        out, *rest = parts[0].delta.shape
        tail = (1,) * (len(rest) - 1)
        return LowRank(down.reshape(-1, *rest), space.reshape(out, -1, *tail), 1.0)

    return rewritten("knots", loras, shares("knots", chosen, weights), steps, merged)


def aligned(
    changes: Sequence[LowRank],
) -> tuple[Float[Tensor, "o r"], list[Float[Tensor, "r n"]]]:
    """U S, [out, r], and for each of the changes its V_l, [r, in · kernel], with D_l = U S V_l.

    From the thin factors: with orthonormal Q_l for the rows of D_l, [D_1 .. D_L] has the singular values
    and left vectors of [D_1 Q_1^T .. D_L Q_L^T], which is as wide as the ranks together.
    """
    narrow, bases = [], []
    for change in changes:
        q, r = torch.linalg.qr(change.down.double().flatten(1).T)  # [n, r], [r, r]
        narrow.append(change.scale * change.up.double().flatten(1) @ r.T)
        bases.append(q.T)
    left, sizes, right = torch.linalg.svd(torch.cat(narrow, dim=1), full_matrices=False)
    keep = max(1, int((sizes > sizes[0] * 1e-7).sum()))
    pieces = right[:keep].split([basis.shape[0] for basis in bases], dim=1)
    views = [(piece @ basis).float() for piece, basis in zip(pieces, bases, strict=True)]
    return (left[:, :keep] * sizes[:keep]).float(), views
