"""What we are compared with: diffusers with peft, and the loops of the two papers, restated."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import lorafusion as lf
from benchmarks.speed.models import Bench


class Peft:
    """LoRAs in a denoiser by diffusers and peft.

    Args:
        one: of its own, since peft wraps layers; `twin` gives one on the same weights.
        loras: all that are loaded.
    """

    def __init__(self, one: Bench, loras: Sequence[lf.LoRA]) -> None:
        self.unet = one.unet
        self.names: list[str] = []
        for lora in loras:
            self.load(lora)

    def load(self, lora: lf.LoRA) -> None:
        """Load one, from tensors in memory."""
        tensors = {}
        for path, delta in lora.part("unet").items():
            assert isinstance(delta, lf.lora.LowRank)
            tensors[f"{path}.lora_A.weight"] = delta.down
            tensors[f"{path}.lora_B.weight"] = delta.up
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the peer's own
            self.unet.load_lora_adapter(tensors, adapter_name=lora.name, prefix=None)
        self.names.append(lora.name)

    def set(self, gates: Sequence[float]) -> None:
        """`set_adapters` with a weight for each of the first LoRAs."""
        self.unet.set_adapters(self.names[: len(gates)], list(gates))

    def fuse(self, gates: Sequence[float]) -> None:
        """What a user does for new weights: unfuse, set, fuse."""
        self.unet.unfuse_lora()
        self.set(gates)
        self.unet.fuse_lora(adapter_names=self.names[: len(gates)])


def composite_loop(peer: Peft, call: Callable[[], Tensor], count: int) -> Callable[[], Tensor]:
    """One step of LoRA Composite as published: one LoRA after the other, each with a call of its own.

    Zhong et al., arXiv:2402.16843, section 3; the loop sets the adapter, predicts, and averages.
    """

    def step() -> Tensor:
        total = None
        for name in peer.names[:count]:
            peer.unet.set_adapters([name], [1.0])
            out = call()
            total = out if total is None else total + out
        assert total is not None
        return total / count

    return step


def one_by_one(
    peer: Peft, calls: Sequence[Callable[[], Tensor]], mixtures: Sequence[Sequence[float]]
) -> Callable[[], Tensor]:
    """Prompts with a mixture each, one after the other."""

    def run() -> Tensor:
        outs = []
        for call, gates in zip(calls, mixtures, strict=True):
            peer.set(gates)
            outs.append(call())
        return torch.cat(outs)

    return run


def load_file(pipe: Any, path: Path, name: str) -> None:
    """`load_lora_weights`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peer's own
        pipe.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name=name)


def drop_file(pipe: Any, name: str) -> None:
    """`delete_adapters`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peer's own
        pipe.delete_adapters(name)
