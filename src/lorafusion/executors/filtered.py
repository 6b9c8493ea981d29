"""Filtered: a 3x3 convolution with two multiplications where the plain one has three.

Minimal filtering F(2, 3) along the height: two neighbouring rows of the output come of four sums of input rows, each
multiplied once, in place of six products. Sums and halves are all that inputs and weights go through, so the result
is as near to the exact one as the plain convolution's. Winograd, Arithmetic Complexity of Computations, 1980; Lavin
and Gray, arXiv:1509.09308, section 4.1.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def filters(weight: Float[Tensor, "o i 3 3"]) -> Float[Tensor, "p i 1 3"]:
    """What a weight is for `filtered`: [4 out, in, 1, 3], which takes 4/3 of its memory."""
    above, middle, below = weight.detach().unbind(2)
    outer = above + below
    parts = [above, (outer + middle) / 2, (outer - middle) / 2, below]
    return torch.cat(parts).unsqueeze(2)


def filtered(
    x: Float[Tensor, "n i h w"],
    made: Float[Tensor, "p i 1 3"],
    bias: Float[Tensor, " o"] | None,
) -> Float[Tensor, "n o h w"]:
    """A convolution of 3 by 3 with stride 1, padding 1 and one group.

    Args:
        x: images whose height is even.
        made: `filters` of the weight.
        bias: of the convolution.
    """
    if bias is not None:
        bias = functional.pad(bias, (len(bias), 2 * len(bias)))  # to the part that is in both rows
    parts = functional.conv2d(_sums(x).flatten(1, 2), made, bias, padding=(0, 1), groups=4)
    first, both, other, last = parts.unflatten(1, (4, -1)).unbind(1)  # each [n, out, h / 2, w]
    out = x.new_empty(*first.shape[:3], 2, x.shape[3])
    torch.add(both, other, out=out[..., 0, :]).add_(first)
    torch.sub(both, other, out=out[..., 1, :]).add_(last)
    return out.flatten(2, 3)


def _sums(x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n 4 i g w"]:
    """Four sums of the four rows that two rows of the output see: [n, 4, in, h / 2, w]."""
    count, width, height, _ = x.shape
    rows = functional.pad(x, (0, 0, 1, 1))
    one, two, three, four = (rows[:, :, i : i + height : 2] for i in range(4))
    sums = x.new_empty(count, 4, width, height // 2, x.shape[3])
    torch.sub(one, three, out=sums[:, 0])
    torch.add(two, three, out=sums[:, 1])
    torch.sub(three, two, out=sums[:, 2])
    torch.sub(four, two, out=sums[:, 3])
    return sums
