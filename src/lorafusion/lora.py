"""What a LoRA file says, once it has been read: Delta and LoRA, frozen.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", arXiv:2106.09685, section 4.1:
W = W0 + (alpha / r) · B A. Here A is `down`, B is `up` and alpha / r is `scale`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.errors import WrongBase


@dataclass(frozen=True, eq=False)
class LowRank:
    """A change of one weight as the product of two thin matrices.

    Attributes:
        down: [r, in] for linear layers, [r, in, kh, kw] for convolutions.
        up: [out, r] or [out, r, 1, 1].
        scale: alpha / r, folded in when the file was read.
    """

    down: Float[Tensor, "r i *k"]
    up: Float[Tensor, "o r *one"]
    scale: float

    @property
    def rank(self) -> int:
        """The number of directions r."""
        return self.down.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the weight that this delta is for: [out, in, *k]."""
        return (self.up.shape[0], *self.down.shape[1:])

    def dense(self, dtype: torch.dtype = torch.float32) -> Float[Tensor, "o i *k"]:
        """The change itself, scale included: scale · up @ down, computed in `dtype`."""
        product = self.up.to(dtype).flatten(1) @ self.down.to(dtype).flatten(1)
        return (product * self.scale).reshape(self.shape)

    def fitted(self, shape: tuple[int, ...]) -> LowRank:
        """The same delta for a weight that differs only by trailing kernel sizes of one.

        A projection may be a linear layer in one model and a 1x1 convolution in another;
        files of either are common for both.

        Raises:
            WrongBase: the shapes differ by more than that.
        """
        if self.shape == shape:
            return self
        if _core(self.shape) != _core(shape):
            raise WrongBase(
                f"delta of shape {list(self.shape)} for a weight of shape {list(shape)}"
            )
        tail = (1,) * (len(shape) - 2)
        return LowRank(
            self.down.reshape(self.rank, shape[1], *tail),
            self.up.reshape(shape[0], self.rank, *tail),
            self.scale,
        )


Delta = LowRank
"""Every kind of change of one weight."""


@dataclass(frozen=True, eq=False)
class LoRA:
    """One LoRA file, read completely.

    Attributes:
        name: unique within its library.
        deltas: target path -> Delta. A path is the pipeline's component and the module in it, as
            diffusers files spell them: ``unet.mid_block.attentions.0.proj_in``,
            ``text_encoder.text_model.encoder.layers.0.self_attn.q_proj``.
        sha256: of the whole file, in hexadecimal; empty when it never was a file.
        family: the base model's family by keys and shapes ("sd15", "pocket"), or "unknown".
        category: character, clothing, object, background or style, or "" when nobody said.
        triggers: words that the training captions used.
        metadata: the file's own header, as text.
    """

    name: str
    deltas: Mapping[str, Delta]
    sha256: str = ""
    family: str = "unknown"
    category: str = ""
    triggers: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "deltas", MappingProxyType(dict(self.deltas)))
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))

    @property
    def components(self) -> tuple[str, ...]:
        """The pipeline components that this LoRA changes, sorted: ("text_encoder", "unet")."""
        return tuple(sorted({path.partition(".")[0] for path in self.deltas}))

    def part(self, component: str) -> dict[str, Delta]:
        """Module path inside `component` -> Delta."""
        prefix = component + "."
        return {
            path.removeprefix(prefix): delta
            for path, delta in self.deltas.items()
            if path.startswith(prefix)
        }


def _core(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without trailing kernel sizes of one."""
    return shape[:2] if all(size == 1 for size in shape[2:]) else shape
