"""MultLFG: in each frequency band of the prediction the LoRAs count that guide it most.

Roy et al., "MultLFG: Training-free Multi-LoRA composition using Frequency-domain Guidance", arXiv:2505.20525,
section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from lorafusion.errors import BadOption, RunError
from lorafusion.lora import LoRA
from lorafusion.methods.card import Calls, Card
from lorafusion.mixer import Moment
from lorafusion.plan import Candidate, Plan

CARD = Card(
    formula="per wavelet band b: e_b = sum_l v_lb (e_l)_b, v_lb the share of LoRA l in the guidance of band b",
    calls=Calls(1, 0),
)


@dataclass(frozen=True)
class Bandwise:
    """The mixer.

    Attributes:
        levels: how often the lowest band is split again.
        top_k: how many LoRAs may count in a band; 0 for all.
    """

    levels: int
    top_k: int

    def __call__(
        self, predictions: Float[Tensor, "b n *x"], moment: Moment
    ) -> Float[Tensor, "n *x"]:
        """Average band by band."""
        if predictions.ndim != 5:
            raise RunError(
                f"multlfg needs predictions [N, C, height, width] and was given {predictions.ndim - 1} "
                "dimensions; use composite or loratorio with this model"
            )
        size = predictions.shape[-2:]
        signal = split(_guidance(predictions, moment), self.levels)
        bands = split(predictions, self.levels)
        mixed = [
            (self._weights(strength) * band).sum(0)
            for strength, band in zip(signal, bands, strict=True)
        ]
        return joined(mixed)[..., : size[0], : size[1]]

    def _weights(self, band: Float[Tensor, "l n c h w"]) -> Float[Tensor, "l n 1 1 1"]:
        energy = band.square().sum((2, 3, 4), keepdim=True)
        if 0 < self.top_k < len(energy):
            least = energy.topk(self.top_k, dim=0).values[-1]
            energy = torch.where(energy < least, 0.0, energy)
        total = energy.sum(0)
        return torch.where(total > 0, energy / total, 1 / len(energy))


def multlfg(
    chosen: Sequence[Candidate],
    loras: Sequence[LoRA],
    steps: int,
    *,
    levels: int = 2,
    top_k: int = 0,
) -> Plan:
    """A branch per LoRA, mixed in bands of the Haar wavelet: gates [S, L, L] the identity.

    The weights are found anew in each step, so that they follow it: low bands carry the picture early
    on, high ones late. The relevance of a LoRA in a band is here the energy of its guidance, conditional
    minus unconditional prediction (of the prediction itself where there is no guidance); the paper,
    which came without code, also compares successive steps. The conditional and the unconditional
    prediction are mixed by the same weights, which is mixing the guided ones.

    Args:
        chosen: L routed LoRAs.
        loras: the same LoRAs, read.
        steps: denoising steps S.
        levels: of the wavelet transform, at least 1; fewer where the latents are too small.
        top_k: how many LoRAs may count in one band; 0 for all.

    Raises:
        BadOption: levels < 1 or top_k < 0.
    """
    if levels < 1 or top_k < 0:
        raise BadOption(
            f"levels is {levels} and top_k {top_k}; multlfg takes levels from 1, top_k from 0"
        )
    count = len(chosen)
    if not count:
        return Plan.of((), torch.zeros(steps, 1, 0))
    plan = Plan.of(tuple(loras), torch.eye(count).expand(steps, count, count))
    return plan.with_mixer(Bandwise(levels, top_k))


def split(x: Float[Tensor, "*n h w"], levels: int) -> list[Float[Tensor, "*n _u _v"]]:
    """The bands of the orthonormal Haar transform: three details a level, the finest first, then the rest.

    Odd sides are made even by repeating the last row or column.
    """
    bands: list[Tensor] = []
    for _ in range(levels):
        height, width = x.shape[-2:]
        if min(height, width) < 2:
            break
        padded = functional.pad(x.flatten(0, -4), (0, width % 2, 0, height % 2), mode="replicate")
        x = padded.reshape(*x.shape[:-2], *padded.shape[-2:])
        a, b = x[..., 0::2, 0::2], x[..., 0::2, 1::2]
        c, d = x[..., 1::2, 0::2], x[..., 1::2, 1::2]
        bands += [(a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2]
        x = (a + b + c + d) / 2
    return [*bands, x]


def joined(bands: Sequence[Float[Tensor, "*n _u _v"]]) -> Float[Tensor, "*n h w"]:
    """The inverse of `split`, with the padding still there."""
    x = bands[-1]
    for start in range(len(bands) - 4, -1, -3):
        across, down, both = bands[start : start + 3]
        x = x[..., : across.shape[-2], : across.shape[-1]]
        a, b = x + across + down + both, x - across + down - both
        c, d = x + across - down - both, x - across - down + both
        top = torch.stack([a, b], -1).flatten(-2)
        low = torch.stack([c, d], -1).flatten(-2)
        x = torch.stack([top, low], -2).flatten(-3, -2) / 2
    return x


def _guidance(predictions: Tensor, moment: Moment) -> Tensor:
    """c - u for each sample, at the places of both; the predictions where nothing is unconditional."""
    without = moment.unconditional.to(predictions.device)
    if not without.any():
        return predictions
    difference = predictions[:, ~without] - predictions[:, without]
    signal = torch.empty_like(predictions)
    signal[:, ~without] = difference
    signal[:, without] = difference
    return signal
