"""A compiled denoiser, bare and with LoRAs; on a GPU, as captured graphs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import count
from typing import Any

import torch

import lorafusion as lf
from benchmarks.speed.clock import Work, paired
from benchmarks.speed.models import Bench, twin
from benchmarks.speed.steps import executor, weights
from lorafusion.executors import compiled as ours


def compiled(
    one: Bench, loras: Sequence[lf.LoRA], batch: int, latent: int, rounds: int, device: str = "cpu"
) -> dict[str, Any]:
    """Bare and with all LoRAs, compiled both; and weights that change from step to step.

    The first half of the LoRAs then takes the place of all, and nothing may compile again. On a model of a few
    kilobytes nothing is optimised, so that a dry run needs no compiler.
    """
    before = ours.BACKEND, ours.MODE
    ours.BACKEND = "eager" if one.name == "tiny" else "inductor"
    ours.MODE = "reduce-overhead" if device == "cuda" else None
    try:
        return _measured(one, loras, batch, latent, rounds, device)
    finally:
        ours.BACKEND, ours.MODE = before


def _measured(
    one: Bench, loras: Sequence[lf.LoRA], batch: int, latent: int, rounds: int, device: str
) -> dict[str, Any]:
    bare, mine = twin(one), twin(one)
    bare.unet.forward = ours.made_fast(bare.unet.forward)
    step, turns = mine.call(batch, latent), count(1)
    with ExitStack() as stack:
        fused = executor(stack, "compiled", mine.unet, loras)

        def changed() -> object:
            fused.set(torch.tensor(weights(len(loras), next(turns))))
            return step()

        variants: dict[str, Work] = {
            "base": one.call(batch, latent),
            "base compiled": bare.call(batch, latent),
            "compiled": step,
            "compiled, new weights": changed,
        }
        fused.set(torch.tensor(weights(len(loras))))
        timings = paired(variants, rounds, device, warm=3)
    graphs = _graphs()
    with ExitStack() as stack:
        executor(stack, "compiled", mine.unet, loras[: len(loras) // 2 + 1])
        step()
    return {
        "seconds": timings.summary(),
        "ratio to the base compiled": timings.ratio("compiled", "base compiled"),
        "ratio with new weights": timings.ratio("compiled, new weights", "base compiled"),
        "compiled again for other LoRAs": _graphs() - graphs,
    }


def _graphs() -> int:
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])
