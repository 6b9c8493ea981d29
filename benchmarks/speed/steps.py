"""One step and its layers: merge of N LoRAs by us and by peft, above the bare base."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

import lorafusion as lf
from benchmarks.speed.clock import Timings, Work, paired
from benchmarks.speed.models import Bench, targets, twin
from benchmarks.speed.peers import Peft
from lorafusion.executors import EXECUTORS
from lorafusion.executors.quick import quickened


def executor(stack: ExitStack, name: str, unet: nn.Module, loras: Sequence[lf.LoRA]) -> Any:
    """One of our executors on this denoiser, until `stack` closes."""
    return stack.enter_context(EXECUTORS[name](unet, [lora.part("unet") for lora in loras]))


def weights(many: int, turn: int = 0) -> list[float]:
    """So many weights, others in every turn."""
    draw = torch.Generator().manual_seed(1000 * turn + many)
    return (0.2 + 0.8 * torch.rand(many, generator=draw)).tolist()


def difference(ours: Tensor, theirs: Tensor) -> float:
    """max |ours - theirs| / max |theirs|."""
    return float(f"{float((ours - theirs).abs().max() / theirs.abs().max()):.2g}")


ANEW = "inject, all new"
"""Other weights before every call: nothing is as it was in the step before."""
OURS = ("inject", ANEW, "fold")
QUICK = "base, quick"
"""The bare base with its large layers mapped as our executors map them."""
VARIANTS = ("peft", QUICK, *OURS)
SHARES = {
    "share of peft's overhead": "base",
    "share of peft's overhead, above the quick base": QUICK,
}
"""What a figure is called -> what our time is taken above; peft's is above the bare base."""


def _opened(
    stack: ExitStack, others: dict[str, Bench], loras: Sequence[lf.LoRA]
) -> dict[str, Work]:
    """All LoRAs open in every variant; what is to be done before each call of one."""
    gates = weights(len(loras))
    Peft(others["peft"], loras).set(gates)
    stack.enter_context(quickened(others[QUICK].unet))
    ours = {
        name: executor(stack, name.partition(",")[0], others[name].unet, loras) for name in OURS
    }
    for each in ours.values():
        each.set(torch.tensor(gates))
    turns = count(1)
    return {ANEW: lambda: ours[ANEW].set(torch.tensor(weights(len(loras), next(turns))))}


def _after(first: Work | None, call: Work) -> Work:
    """Both, one after the other."""
    if first is None:
        return call

    def run() -> object:
        first()
        return call()

    return run


def step(
    one: Bench, loras: Sequence[lf.LoRA], batch: int, latent: int, rounds: int, device: str = "cpu"
) -> dict[str, Any]:
    """A whole forward with all LoRAs open: base, peft, inject, fold, each on the same weights."""
    others = {name: twin(one) for name in VARIANTS}
    with ExitStack() as stack:
        before = _opened(stack, others, loras)
        calls: dict[str, Work] = {"base": one.call(batch, latent)}
        calls |= {
            name: _after(before.get(name), other.call(batch, latent))
            for name, other in others.items()
        }
        outs = {name: call() for name, call in calls.items() if name != ANEW}
        timings = paired(calls, rounds, device)
    theirs = outs["peft"]
    assert isinstance(theirs, Tensor)
    return {
        "seconds": timings.summary(),
        "ratio to base": {name: timings.ratio(name, "base") for name in others},
        **_shares(timings),
        "difference from peft": {
            name: difference(out, theirs)
            for name, out in outs.items()
            if isinstance(out, Tensor) and name != "peft"
        },
    }


def _shares(timings: Timings) -> dict[str, dict[str, Any]]:
    """What LoRAs cost us, as a share of what they cost peft."""
    return {
        title: {name: timings.overheads(name, "peft", "base", own) for name in OURS}
        for title, own in SHARES.items()
    }


Calls = list[tuple[str, Tensor]]


@contextmanager
def _recorded(unet: nn.Module, paths: Sequence[str], seen: Calls) -> Any:
    """Note the shape of every input of these layers."""

    def note(path: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Tensor, ...]) -> None:
            seen.append((path, args[0]))

        return hook

    handles = [unet.get_submodule(path).register_forward_pre_hook(note(path)) for path in paths]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def inputs_of_layers(one: Bench, batch: int, latent: int) -> list[tuple[str, tuple[int, ...]]]:
    """(layer, shape of its input) in the order of one forward, found on a model without memory."""
    seen: Calls = []
    empty = twin(one).unet.to("meta")
    paths = list(targets(one.unet))
    arguments = {
        name: value.to("meta") if isinstance(value, Tensor) else value
        for name, value in one.inputs(batch, latent).items()
    }
    arguments["timestep"] = 500
    with torch.no_grad(), _recorded(empty, paths, seen):
        empty(**arguments)
    return [(path, tuple(x.shape)) for path, x in seen]


def layers(
    one: Bench, loras: Sequence[lf.LoRA], batch: int, latent: int, rounds: int, device: str = "cpu"
) -> dict[str, Any]:
    """The layers that LoRAs change, alone, one after the other on inputs of their real sizes."""
    order = [
        (path, shape)
        for path, shape in inputs_of_layers(one, batch, latent)
        if path in loras[0].part("unet")
    ]
    like = next(one.unet.parameters())
    inputs = {shape: torch.randn(shape, device=like.device, dtype=like.dtype) for _, shape in order}
    others = {name: twin(one) for name in VARIANTS}
    with ExitStack() as stack:
        before = _opened(stack, others, loras)

        def through(unet: nn.Module) -> Work:
            called = [(unet.get_submodule(path), inputs[shape]) for path, shape in order]

            def run() -> None:
                with torch.no_grad():
                    for layer, x in called:
                        layer(x)

            return run

        runs = {"base": through(one.unet)}
        runs |= {
            name: _after(before.get(name), through(other.unet)) for name, other in others.items()
        }
        timings = paired(runs, rounds, device)
    return {
        "seconds": timings.summary(),
        "ratio to base": {name: timings.ratio(name, "base") for name in others},
        **_shares(timings),
    }
