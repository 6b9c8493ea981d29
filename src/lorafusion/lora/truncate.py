"""Any change as a product of two thin matrices: stacked exactly, or cut at a rank or an energy.

The best approximation of a matrix in a given rank is its singular value decomposition cut there
(Eckart and Young 1936); the energy is the sum of squared singular values, the squared Frobenius norm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.errors import BadOption
from lorafusion.lora.kinds import Free
from lorafusion.lora.loha import LoHa
from lorafusion.lora.lokr import LoKr
from lorafusion.lora.lowrank import LowRank


def stacked(weighted: Sequence[tuple[float, LowRank]]) -> LowRank:
    """The weighted sum of low-rank changes, exactly: their directions side by side.

    Args:
        weighted: at least one (weight, delta), all of one shape.

    Returns:
        scale 1, rank the sum of the ranks, float32 (float64 where a delta has that).
    """
    downs = [delta.down for _, delta in weighted]
    dtype = torch.float64 if any(d.dtype == torch.float64 for d in downs) else torch.float32
    ups = [delta.up.to(dtype) * (weight * delta.scale) for weight, delta in weighted]
    return LowRank(torch.cat([down.to(dtype) for down in downs]), torch.cat(ups, dim=1), 1.0)


def truncated(
    delta: Free, rank: int | None = None, energy: float | None = None
) -> tuple[LowRank, float]:
    """The nearest change of low rank, and the share of the energy that it keeps.

    Args:
        delta: any kind that does not depend on the weight, of a weight [out, in, *k].
        rank: at most so many directions; None for as many as `energy` needs.
        energy: the least share of the energy to be kept, over 0 and up to 1; None for all.

    Returns:
        LowRank in float32 with scale 1 and at least one direction, and the kept share, 1 for a
        delta of zeros.

    Raises:
        BadOption: rank under 1, or energy out of its range.
    """
    if rank is not None and rank < 1:
        raise BadOption(f"rank is {rank}; expected at least 1")
    if energy is not None and not 0 < energy <= 1:
        raise BadOption(f"energy is {energy:g}; expected a share over 0 and up to 1, such as 0.99")
    left, sizes, right = _svd(delta)
    total = float(sizes.square().sum())
    if total == 0:
        return _cut(delta, left, sizes, right, 1), 1.0
    shares = sizes.square().cumsum(0) / total
    # The last directions of an exact low rank are rounding and nothing else.
    keep = int((sizes > sizes[0] * 1e-7).sum())
    if energy is not None and energy < 1:
        keep = min(keep, int((shares < energy).sum()) + 1)
    keep = keep if rank is None else min(keep, rank)
    return _cut(delta, left, sizes, right, keep), min(float(shares[keep - 1]), 1.0)


def _svd(delta: Free) -> tuple[Tensor, Tensor, Tensor]:
    """[out, n], [n], [n, in · kernel] in float64; of thin matrices without forming their product."""
    up, down, scale = _thin(delta)
    out, columns = delta.shape[0], math.prod(delta.shape[1:])
    if up is None or down is None or up.shape[1] >= min(out, columns):
        whole = delta.dense(torch.float64).flatten(1)
        left, sizes, right = torch.linalg.svd(whole, full_matrices=False)
        return left, sizes, right
    q_up, r_up = torch.linalg.qr(up)
    q_down, r_down = torch.linalg.qr(down.T)
    left, sizes, right = torch.linalg.svd((r_up @ r_down.T) * scale, full_matrices=False)
    return q_up @ left, sizes, right @ q_down.T


def _thin(delta: Free) -> tuple[Tensor | None, Tensor | None, float]:
    """[out, n], [n, in · kernel] and a factor: exactly the change, where its kind has such a form.

    LoHa: the columns of one product times those of the other, all pairs (the Khatri-Rao product).
    LoKr: w1 ⊗ (l r) = (w1 ⊗ l)(1 ⊗ r).
    """
    if isinstance(delta, LowRank):
        return delta.up.double().flatten(1), delta.down.double().flatten(1), delta.scale
    if isinstance(delta, LoHa):
        up = torch.einsum("or,oq->orq", delta.w1_a.double(), delta.w2_a.double()).flatten(1)
        down = torch.einsum("rn,qn->rqn", delta.w1_b.double(), delta.w2_b.double()).flatten(0, 1)
        return up, down, delta.scale
    if isinstance(delta, LoKr) and delta.right2 is not None:
        one = delta.w1.double()
        one = one if delta.right1 is None else one @ delta.right1.double()
        same = torch.eye(one.shape[1], dtype=torch.float64)
        up = torch.kron(one.contiguous(), delta.w2.double().contiguous())
        return up, torch.kron(same, delta.right2.double().contiguous()), delta.scale
    return None, None, 1.0


def _cut(
    delta: Free,
    left: Float[Tensor, "o n"],
    sizes: Float[Tensor, " n"],
    right: Float[Tensor, "n i"],
    keep: int,
) -> LowRank:
    out, *rest = delta.shape
    tail = (1,) * (len(rest) - 1)
    root = sizes[:keep].sqrt()
    return LowRank(
        (right[:keep] * root[:, None]).float().reshape(keep, *rest),
        (left[:, :keep] * root).float().reshape(out, keep, *tail),
        1.0,
    )
