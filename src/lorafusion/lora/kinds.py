"""Every kind of change of one weight, and the one question that all of them answer."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.lora.dense import Dense
from lorafusion.lora.dora import DoRA
from lorafusion.lora.loha import LoHa
from lorafusion.lora.lokr import LoKr
from lorafusion.lora.lowrank import LowRank
from lorafusion.lora.spectral import Spectral

Free = LowRank | LoHa | LoKr | Dense
"""The kinds that are the same change on whatever weight: they have `dense(dtype)`."""

Delta = LowRank | LoHa | LoKr | Dense | DoRA | Spectral
"""Every kind of change of one weight."""


def dense_on(
    delta: Delta, weight: Float[Tensor, "*shape"], dtype: torch.dtype = torch.float32
) -> Float[Tensor, "*shape"]:
    """The change of this base weight at gate 1, on its device, computed in `dtype`.

    Args:
        delta: `fitted` to the weight's shape.
        weight: W0; only DoRA and spectral shifts look at its values.
        dtype: of the computation and the answer.
    """
    if isinstance(delta, DoRA | Spectral):
        return delta.dense_on(weight, dtype)
    return delta.dense(dtype).to(weight.device)
