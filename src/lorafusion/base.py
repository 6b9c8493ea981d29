"""Base: the few things that a method may ask about the base model, answered without showing it.

A method that rewrites LoRAs by what the base model is (its spectrum, the signals in its layers) takes a
keyword argument `base`; `lorafusion.pipelines.Insight` answers for a diffusers pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from lorafusion.lora import LoRA


@runtime_checkable
class Base(Protocol):
    """What is asked of a base model. Targets are spelled as in `LoRA.deltas`."""

    def weight(self, target: str) -> Float[Tensor, "*shape"]:
        """A copy of the weight W0 (or bias) at this target, as it is stored."""

    def signals(
        self, lora: LoRA, text: str, probes: Mapping[str, Float[Tensor, "r i *k"]]
    ) -> dict[str, Float[Tensor, "r r"]]:
        """What passes through layers while the model, with this LoRA alone fully open, draws `text`.

        Args:
            lora: open at gate 1 meanwhile.
            text: the prompt.
            probes: target -> P, a matrix [R, in] or kernel [R, in, kh, kw], applied to what the layer
                is given.

        Returns:
            target -> mean of z z^T in float64, with z = P x, over all tokens or places x of all calls.
        """
