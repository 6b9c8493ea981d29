"""LoRAs and files for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from lorafusion.lora import LoRA, LowRank

WRITABLE = ("peft", "kohya")
ATTENTION = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"
TO_Q = f"unet.{ATTENTION}.to_q"
FC1 = "text_encoder.text_model.encoder.layers.0.mlp.fc1"
KOHYA_TO_Q = "lora_unet_" + f"{ATTENTION}.to_q".replace(".", "_")


def low_rank(
    shape: tuple[int, ...],
    rank: int = 2,
    scale: float = 1.0,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> LowRank:
    """A random delta for a weight of this shape."""
    out, *rest = shape
    tail = (1,) * (len(rest) - 1)
    generator = torch.Generator().manual_seed(seed)
    down = torch.randn(rank, *rest, generator=generator)
    up = torch.randn(out, rank, *tail, generator=generator)
    return LowRank(down.to(dtype), up.to(dtype), scale)


def small(scale: float = 1.0) -> LoRA:
    """Two targets of different rank."""
    return LoRA("small", {TO_Q: low_rank((6, 5), 2, scale), FC1: low_rank((8, 4), 3, scale)})


def kohya_tensors(
    name: str = KOHYA_TO_Q, rank: int = 2, alpha: float | None = 1.0
) -> dict[str, Tensor]:
    """One module as kohya stores it."""
    made = {
        f"{name}.lora_down.weight": torch.randn(rank, 5),
        f"{name}.lora_up.weight": torch.randn(6, rank),
    }
    return made if alpha is None else made | {f"{name}.alpha": torch.tensor(alpha)}


def peft_tensors(target: str = TO_Q, rank: int = 2) -> dict[str, Tensor]:
    """One module as peft stores it."""
    return {
        f"{target}.lora_A.weight": torch.randn(rank, 5),
        f"{target}.lora_B.weight": torch.randn(6, rank),
    }


def saved(
    folder: Path,
    tensors: dict[str, Tensor],
    metadata: dict[str, str] | None = None,
    name: str = "a",
) -> Path:
    """The path of a file with these tensors, written by the safetensors library."""
    path = folder / f"{name}.safetensors"
    save_file(tensors, path, metadata)
    return path


def assert_same(ours: LoRA, theirs: LoRA) -> None:
    """The same targets, and every delta the same to the bit."""
    assert set(ours.deltas) == set(theirs.deltas)
    for path, delta in ours.deltas.items():
        other = theirs.deltas[path]
        assert delta.scale == other.scale, path
        for one, two in ((delta.down, other.down), (delta.up, other.up)):
            assert one.dtype == two.dtype
            assert torch.equal(one, two)
