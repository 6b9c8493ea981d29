"""When LoRAs act, by what they are: places settle early, styles late."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

SLOPES = {"background": -1.0, "style": 1.0}
"""Category -> whether its LoRAs act more late (1) or early (-1); others act evenly."""


def ramps(categories: Sequence[str], steps: int, tilt: float) -> Float[Tensor, "s l"]:
    """Factors around 1 for each step and LoRA, of mean 1 over the steps: [S, L].

    A LoRA of slope k goes straight from 1 - k · tilt to 1 + k · tilt, so that the strength it has over
    the whole run stays what it was.
    """
    along = torch.linspace(-1.0, 1.0, steps) if steps > 1 else torch.zeros(steps)
    slopes = torch.tensor([SLOPES.get(category, 0.0) for category in categories])
    return 1 + tilt * along[:, None] * slopes
