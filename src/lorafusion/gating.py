"""LearnedGates: how far each LoRA is open in a block of the denoiser, learned from what LoRAs do there.

Wu et al., "Mixture of LoRA Experts", ICLR 2024, arXiv:2404.13628, section 3.2, equations 3 to 8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from lorafusion.errors import BadOption


@dataclass(frozen=True, eq=False)
class BlockGate:
    """The gating function of one block.

    Attributes:
        projection: e, [N · d, N]: from the LoRAs' effects, side by side, to a logit for each.
        temperature: tau, one number over 0.
    """

    projection: Float[Tensor, "nd n"]
    temperature: Float[Tensor, ""]


@dataclass(frozen=True, eq=False)
class LearnedGates:
    """One gating function for each of M blocks, trained for N LoRAs.

    The paper flattens a block's output over its tokens, which ties the gates to one size of picture; here
    tokens are averaged, so that e is [N · d, N] and any size will do.

    Attributes:
        names: of the N LoRAs, in the order that the gates were trained in.
        blocks: path of the block inside the denoiser -> its gate.
        hashes: name -> sha256 of the LoRA's file, "" where there was none.
    """

    names: tuple[str, ...]
    blocks: Mapping[str, BlockGate]
    hashes: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"for {' '.join(self.names)}"

    def logits(self, path: str, effects: Float[Tensor, "n b *x"]) -> Float[Tensor, "b n"]:
        """epsilon / tau of one block.

        Args:
            path: of the block.
            effects: what each of the N LoRAs changes of the block's output, [N, B, T, d] of tokens or
                [N, B, d, h, w] of places.
        """
        gate = self.blocks[path]
        pooled = effects.mean((-2, -1)) if effects.ndim == 5 else effects.mean(-2)
        side_by_side = pooled.movedim(0, 1).flatten(1)  # [B, N · d]
        normal = functional.layer_norm(side_by_side, side_by_side.shape[1:])
        return normal @ gate.projection.to(normal) / gate.temperature.to(normal)

    def weights(
        self, path: str, effects: Float[Tensor, "n b *x"], allowed: Bool[Tensor, " n"]
    ) -> Float[Tensor, "b n"]:
        """G of one block: the softmax of the logits over the LoRAs that are allowed; rows sum to 1.

        A LoRA that is not has weight 0, and the others share what it had, without being trained anew.

        Raises:
            BadOption: none is allowed.
        """
        if not allowed.any():
            raise BadOption(
                "every LoRA that the gates were trained for is closed; open at least one"
            )
        logits = self.logits(path, effects)
        return torch.softmax(logits.masked_fill(~allowed.to(logits.device), -torch.inf), dim=1)

    @classmethod
    def even(cls, names: Sequence[str], widths: Mapping[str, int]) -> LearnedGates:
        """Gates before any training, every LoRA alike: e = 0 and tau = 1.

        Args:
            names: of the N LoRAs.
            widths: path of each block -> d, the width of its output.
        """
        count = len(names)
        return cls(
            tuple(names),
            {
                path: BlockGate(torch.zeros(count * width, count), torch.ones(()))
                for path, width in widths.items()
            },
        )


def balance(weights: Float[Tensor, "m b n"]) -> Float[Tensor, ""]:
    """The balancing loss: -log of the product over LoRAs of q_i, their mean weight over M blocks.

    It is least, N log N, where all q_i are 1 / N, and keeps one LoRA from taking every gate.
    Equations 7 and 8; the mean is also over the samples of the batch.
    """
    share = weights.mean((0, 1))
    return -share.clamp(min=torch.finfo(share.dtype).tiny).log().sum()
