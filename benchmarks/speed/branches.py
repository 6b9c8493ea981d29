"""Branches of composite, mixed batches and switch: many mixtures in one call of the denoiser."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

import lorafusion as lf
from benchmarks.speed.clock import Work, paired
from benchmarks.speed.models import Bench, twin
from benchmarks.speed.peers import Peft, composite_loop, one_by_one
from benchmarks.speed.steps import difference, executor, weights
from lorafusion.executors.call import Call, prediction
from lorafusion.executors.quick import quickened


def composite(
    one: Bench, loras: Sequence[lf.LoRA], latent: int, rounds: int, device: str = "cpu"
) -> dict[str, Any]:
    """One guided step of composite with all LoRAs: our branches as rows, against the published loop.

    And against the bare base on as many rows, as it is and with its large layers mapped as ours are.
    """
    other = twin(one)
    peer = Peft(other, loras)
    arguments = one.inputs(2, latent)
    mine = twin(one)
    calls = _counted(mine.unet)
    with ExitStack() as stack:
        ours = executor(stack, "inject", mine.unet, loras)
        branches = [Call(arguments | {"return_dict": False}, 2)] * len(loras)

        @torch.no_grad()
        def step() -> Tensor:
            outs = ours.predict(branches, torch.eye(len(loras)))
            return torch.stack([prediction(out) for out in outs]).mean(0)

        loop = composite_loop(peer, other.call(2, latent), len(loras))
        floor = one.call(2 * len(loras), latent)
        quick = twin(one)
        stack.enter_context(quickened(quick.unet))
        variants: dict[str, Work] = {
            "loop": loop,
            "ours": step,
            "base together": floor,
            "base together, quick": quick.call(2 * len(loras), latent),
        }
        away = difference(step(), loop())
        per_step = len(calls)
        timings = paired(variants, rounds, device)
    return {
        "seconds": timings.summary(),
        "ratio to the loop": timings.ratio("ours", "loop"),
        "ratio to the base in one batch": timings.ratio("ours", "base together"),
        "ratio to the quick base in one batch": timings.ratio("ours", "base together, quick"),
        "denoiser calls a step": per_step,
        "difference from the loop": away,
    }


def _counted(unet: Any) -> list[int]:
    """A list that grows with every call of the denoiser, hooked where each call passes once."""
    calls: list[int] = []
    unet.conv_in.register_forward_hook(lambda *_: calls.append(1))
    return calls


def mixed(
    one: Bench, loras: Sequence[lf.LoRA], latent: int, rounds: int, device: str = "cpu"
) -> dict[str, Any]:
    """Four prompts with a mixture of all LoRAs each: one batch, against peft one by one and the bare base."""
    prompts = 4
    mixtures = [weights(len(loras), turn) for turn in range(prompts)]
    inputs = _rows(one.inputs(2 * prompts, latent), prompts)
    other, mine = twin(one), twin(one)
    peer = Peft(other, loras)

    def call(bench_: Bench, arguments: dict[str, Any]) -> Any:
        def run() -> Tensor:
            with torch.no_grad():
                out: Tensor = bench_.unet(**arguments, return_dict=False)[0]
                return out

        return run

    with ExitStack() as stack:
        ours = executor(stack, "inject", mine.unet, loras)
        rows = [Call(arguments | {"return_dict": False}, 2) for arguments in inputs]

        @torch.no_grad()
        def together() -> Tensor:
            return torch.cat([prediction(o) for o in ours.predict(rows, torch.tensor(mixtures))])

        variants: dict[str, Work] = {
            "one by one": one_by_one(peer, [call(other, each) for each in inputs], mixtures),
            "together": together,
            "base together": one.call(2 * prompts, latent),
        }
        theirs = variants["one by one"]()
        assert isinstance(theirs, Tensor)
        away = difference(together(), theirs)
        timings = paired(variants, rounds, device)
    return {
        "seconds": timings.summary(),
        "ratio to one by one": timings.ratio("together", "one by one"),
        "ratio to the base together": timings.ratio("together", "base together"),
        "difference from one by one": away,
    }


def _rows(arguments: dict[str, Any], prompts: int) -> list[dict[str, Any]]:
    """The arguments of each prompt: two rows, with and without it."""
    whole = Call(arguments, 2 * prompts)
    return [dict(whole.rows(2 * i, 2 * i + 2).arguments) for i in range(prompts)]


def switch(
    one: Bench, loras: Sequence[lf.LoRA], latent: int, rounds: int, device: str = "cpu"
) -> dict[str, Any]:
    """What it costs to turn from one LoRA to the next, beside a step."""
    turns = torch.eye(len(loras))
    peer = Peft(twin(one), loras)
    with ExitStack() as stack:
        mine = twin(one)
        ours = executor(stack, "inject", mine.unet, loras)
        ours.set(turns[0])
        turn = iter(range(10**9))
        variants: dict[str, Work] = {
            "step": mine.call(2, latent),
            "switch": lambda: ours.set(turns[next(turn) % len(loras)]),
            "set_adapters": lambda: peer.unet.set_adapters(
                [peer.names[next(turn) % len(loras)]], [1.0]
            ),
        }
        timings = paired(variants, rounds, device)
    return {"seconds": timings.summary(), "share of a step": timings.ratio("switch", "step")}
