"""LoRAtorio: in each patch of the picture the LoRA counts most that changes it most.

Foteinopoulou, Budvytis and Liwicki, "LoRAtorio: An intrinsic approach to LoRA Skill Composition",
arXiv:2508.11624, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from lorafusion.errors import BadOption
from lorafusion.lora import LoRA
from lorafusion.methods.card import Calls, Card
from lorafusion.mixer import Moment
from lorafusion.plan import Candidate, Plan

CARD = Card(
    formula="per patch: e = sum_l softmin_l(cos(e_l, e_0)) e_l; without the prompt: lambda e_0 + (1 - lambda) e",
    calls=Calls(1, 1),
    alone=False,
)


@dataclass(frozen=True)
class Patchwise:
    """The mixer; of its B branches the last is the base model.

    Attributes:
        patch: side of a patch in latent pixels; predictions of tokens [N, T, C] have one token a patch.
        base_share: lambda, the base model's share of the unconditional prediction.
        temperature: divides the cosines.
        top_k: how many LoRAs may count in a patch; 0 for all.
    """

    patch: int
    base_share: float
    temperature: float
    top_k: int

    def __call__(
        self, predictions: Float[Tensor, "b n *x"], moment: Moment
    ) -> Float[Tensor, "n *x"]:
        """Average the LoRAs' predictions patch by patch."""
        ours, base = predictions[:-1], predictions[-1]
        channel = 2 if ours.ndim == 5 else -1  # [L, N, C, h, w], or tokens [L, N, T, C]
        likeness = self._likeness(ours, base[None].expand_as(ours), channel)
        weights = self._weights(likeness)
        together = (weights.unsqueeze(channel) * ours).sum(0)
        alone = moment.unconditional.to(base.device).reshape(-1, *(1,) * (base.ndim - 1))
        guided = self.base_share * base + (1 - self.base_share) * together
        return torch.where(alone, guided, together)

    def _likeness(self, ours: Tensor, base: Tensor, channel: int) -> Tensor:
        """Cosine of each patch with the base model's, spread over its pixels: [L, N, h, w] or [L, N, T]."""
        sums = [(a * b).sum(channel) for a, b in ((ours, base), (ours, ours), (base, base))]
        if channel == 2:
            sums = [self._per_patch(each) for each in sums]
        dot, one, other = sums
        return dot / (one * other).sqrt().clamp(min=torch.finfo(dot.dtype).tiny)

    def _per_patch(self, values: Float[Tensor, "l n h w"]) -> Float[Tensor, "l n h w"]:
        height, width = values.shape[-2:]
        pooled = functional.avg_pool2d(values, self.patch, ceil_mode=True, count_include_pad=False)
        spread = pooled.repeat_interleave(self.patch, -2).repeat_interleave(self.patch, -1)
        return spread[..., :height, :width]

    def _weights(self, likeness: Tensor) -> Tensor:
        scores = -likeness / self.temperature
        if 0 < self.top_k < len(scores):
            least = scores.topk(self.top_k, dim=0).values[-1]
            scores = scores.masked_fill(scores < least, -torch.inf)
        return torch.softmax(scores, dim=0)


def loratorio(
    chosen: Sequence[Candidate],
    loras: Sequence[LoRA],
    steps: int,
    *,
    patch: int = 2,
    base_share: float = 0.5,
    temperature: float = 1.0,
    top_k: int = 0,
) -> Plan:
    """A branch per LoRA and one without any, mixed patch by patch: gates [S, L + 1, L].

    A LoRA that the prompt does not concern predicts much as the base model does, and counts less.
    Cosines of whole predictions lie close to 1, so that at temperature 1, as published, the weights
    are nearly equal; a lower one tells patches apart. No code was published; the patch size is ours.

    Args:
        chosen: L routed LoRAs.
        loras: the same LoRAs, read.
        steps: denoising steps S.
        patch: side of a patch in latent pixels.
        base_share: lambda of the paper's guidance, 0 to 1.
        temperature: of the softmin, over 0.
        top_k: how many LoRAs may count in one patch, the paper's dynamic selection; 0 for all.

    Raises:
        BadOption: an option out of its range.
    """
    if patch < 1 or not 0 <= base_share <= 1 or not temperature > 0 or top_k < 0:
        raise BadOption(
            f"patch is {patch}, base_share {base_share}, temperature {temperature}, top_k {top_k}; loratorio "
            "takes patch from 1, base_share 0 to 1, temperature over 0, top_k from 0"
        )
    count = len(chosen)
    if not count:
        return Plan.of((), torch.zeros(steps, 1, 0))
    gates = torch.cat([torch.eye(count), torch.zeros(1, count)]).expand(steps, -1, -1)
    mix = torch.tensor([1 / count] * count + [0.0]).expand(steps, -1)
    plan = Plan.of(tuple(loras), gates, mix)
    return plan.with_mixer(Patchwise(patch, base_share, temperature, top_k))
