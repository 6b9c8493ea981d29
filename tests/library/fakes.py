"""LoRA files of a few bytes, and encoders that count."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from lorafusion import formats
from lorafusion.lora import LoRA, LowRank

TARGET = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"


def put(
    path: Path,
    metadata: Mapping[str, str] | None = None,
    *,
    category: str = "",
    triggers: tuple[str, ...] = (),
    seed: int = 0,
) -> Path:
    """Write a LoRA file with one small delta and this header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw = torch.Generator().manual_seed(seed)
    delta = LowRank(torch.randn(2, 8, generator=draw), torch.randn(8, 2, generator=draw), 1.0)
    said = {} if metadata is None else metadata
    lora = LoRA(path.stem, {TARGET: delta}, category=category, triggers=triggers, metadata=said)
    formats.write(lora, path, "kohya")
    return path


class CountingEncoder:
    """A made-up unit vector for each text, and a note of each text that was asked for."""

    def __init__(self, name: str = "counting@1", width: int = 8) -> None:
        self.id = name
        self.asked: list[str] = []
        self._width = width

    def encode(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        self.asked.extend(texts)
        return torch.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> Float[Tensor, " d"]:
        seed = int.from_bytes(hashlib.sha256(f"{self.id}{text}".encode()).digest()[:7], "big")
        vector = torch.randn(self._width, generator=torch.Generator().manual_seed(seed))
        return functional.normalize(vector, dim=0)


class KnownEncoder:
    """Exactly these vectors for these texts; any other text is the first axis."""

    id = ""

    def __init__(self, vectors: Mapping[str, Sequence[float]]) -> None:
        self._vectors = vectors
        self._width = len(next(iter(vectors.values())))

    def encode(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        axis = [1.0] + [0.0] * (self._width - 1)
        return torch.tensor([list(self._vectors.get(text, axis)) for text in texts])
