"""New weights for every LoRA, and what is left of the base after a hundred of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

import lorafusion as lf
from benchmarks.speed.clock import Work, paired
from benchmarks.speed.models import Bench, bench, of_the_prompt, targets, twin
from benchmarks.speed.peers import Peft
from benchmarks.speed.steps import executor, weights


def anew(change: Callable[[list[float]], object], many: int) -> Work:
    """`change` with other weights every time."""
    turns = count(1)
    return lambda: change(weights(many, next(turns)))


def gates(
    one: Bench, loras: Sequence[lf.LoRA], opened: int, rounds: int, device: str = "cpu"
) -> dict[str, Any]:
    """`inject` against `set_adapters`: all LoRAs loaded, `opened` of them with new weights."""
    peer = Peft(twin(one), loras)
    with ExitStack() as stack, torch.no_grad():
        mine = twin(one)
        ours = executor(stack, "inject", mine.unet, loras)
        closed = [0.0] * (len(loras) - opened)
        ours.set(torch.tensor(weights(opened) + closed))
        # A layer that was called has the gates where it runs, and each change is copied there.
        layer = next(each for path, each in targets(mine.unet).items() if path.endswith("to_q"))
        weight = layer.get_parameter("weight")
        layer(weight.new_zeros(1, 1, weight.shape[1]))
        variants = {
            "set_adapters": anew(peer.set, opened),
            "inject": anew(lambda new: ours.set(torch.tensor(new + closed)), opened),
        }
        timings = paired(variants, rounds, device, warm=3)
    return {
        "seconds": timings.summary(),
        "times faster": timings.ratio("set_adapters", "inject"),
    }


def folds(
    one: Bench, loras: Sequence[lf.LoRA], opened: int, rounds: int, device: str = "cpu"
) -> dict[str, Any]:
    """`fold` against unfuse, set, fuse, which needs weights of its own to write on.

    Layers that map the prompt are timed alone, for `fold` may leave them to a side path, which costs when they are
    next called: once for each prompt and change.
    """
    own = bench(one.name, device, next(one.unet.parameters()).dtype)
    peer = Peft(own, loras)
    peer.set(weights(opened))
    peer.unet.fuse_lora(adapter_names=peer.names[:opened])
    closed = [0.0] * (len(loras) - opened)
    bare = [one.unet.get_submodule(path).weight.detach() for path in loras[0].part("unet")]
    copies = [torch.empty_like(weight) for weight in bare]
    words = one.inputs(2)["encoder_hidden_states"]

    def copy() -> None:
        for into, weight in zip(copies, bare, strict=True):
            into.copy_(weight)

    with ExitStack() as stack, torch.no_grad():
        mine = twin(one)
        ours = executor(stack, "fold", mine.unet, loras)
        variants: dict[str, Work] = {
            "unfuse, set, fuse": anew(peer.fuse, opened),
            "fold": anew(lambda new: ours.set(torch.tensor(new + closed)), opened),
            "copy of the weights": copy,
            "the prompt, fused": mapping(own.unet, words),
            "the prompt, folded": mapping(mine.unet, words),
        }
        timings = paired(variants, rounds, device)
    return {
        "seconds": timings.summary(),
        "times faster": timings.ratio("unfuse, set, fuse", "fold"),
        "times a copy of the weights": timings.ratio("fold", "copy of the weights"),
    }


def mapping(unet: nn.Module, words: Tensor) -> Work:
    """Keys and values of a prompt that nobody has seen before."""
    layers = of_the_prompt(unet)

    def run() -> None:
        unseen = words.clone()
        for layer in layers:
            layer(unseen)

    return run


def drift(one: Bench, loras: Sequence[lf.LoRA], cycles: int) -> dict[str, Any]:
    """The share of targeted weights that are not what they were, after so many changes and the way back."""
    found = {}
    for name, cycle in (("fold", _ours), ("unfuse, set, fuse", _theirs)):
        own = bench(one.name, "cpu", next(one.unet.parameters()).dtype)
        layers = list(targets(own.unet).values())
        before = [layer.get_parameter("weight").detach().clone() for layer in layers]
        cycle(own, loras, cycles)
        found[name] = _changed(layers, before)
    return {"cycles": cycles, "share of weights changed": found}


def _ours(own: Bench, loras: Sequence[lf.LoRA], cycles: int) -> None:
    with ExitStack() as stack:
        ours = executor(stack, "fold", own.unet, loras)
        for turn in range(cycles):
            ours.set(torch.tensor(weights(len(loras), turn)))


def _theirs(own: Bench, loras: Sequence[lf.LoRA], cycles: int) -> None:
    peer = Peft(own, loras)
    peer.set(weights(len(loras)))
    peer.unet.fuse_lora(adapter_names=peer.names)
    for turn in range(cycles):
        peer.fuse(weights(len(loras), turn))
    peer.unet.unfuse_lora()


def _changed(layers: Sequence[nn.Module], before: Sequence[torch.Tensor]) -> float:
    changed = total = 0
    for layer, old in zip(layers, before, strict=True):
        changed += int((layer.get_parameter("weight").detach() != old).sum())
        total += old.numel()
    return round(changed / total, 4)
