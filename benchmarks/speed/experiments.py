"""The experiments by name, with the sizes at which they are run unless others are asked for."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

import lorafusion as lf
from benchmarks.speed import branches, changes, compiles, loads, prompt, steps, traffic
from benchmarks.speed.models import Bench, bench, kohya_files, one_thread, random_lora

TUNED = {
    "MALLOC_MMAP_THRESHOLD_": str(8 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}
"""glibc keeps and reuses large pieces of memory: peft's temporaries then cost no page faults."""


@dataclass(frozen=True)
class Case:
    """One measurement.

    Attributes:
        experiment: a name of `EXPERIMENTS`.
        loras: how many are loaded.
        latent: height and width of the latents.
        rounds: that count; with `loads`, how many more files we read.
        opened: how many of them get new weights; all when 0.
        batch: rows of a call of the denoiser.
        rank: of each LoRA.
        targets: a name of `models.SETS`.
        model: a name of `models.CONFIGURATIONS`.
        device: "cpu" or "cuda".
        dtype: of the model.
        popularity: a name of `traffic.POPULARITIES`.
    """

    experiment: str
    loras: int
    latent: int = 32
    rounds: int = 5
    opened: int = 0
    batch: int = 2
    rank: int = 32
    targets: str = "kohya"
    model: str = "sd15"
    device: str = "cpu"
    dtype: str = "float32"
    popularity: str = ""


CASES = (
    Case("loads", 20, rounds=180),
    Case("step", 5, 32, rounds=9),
    *(Case("composite", loras, 16, rounds=3) for loras in (2, 3, 5)),
    Case("layers", 5, 32, rounds=3),
    Case("layers", 5, 16, rounds=5),
    Case("layers", 3, 64, rounds=3),
    Case("gates", 3, rounds=30),
    Case("gates", 20, rounds=15),
    Case("gates", 20, rounds=15, opened=3),
    Case("folds", 3, rounds=45),
    Case("folds", 20, rounds=15),
    Case("folds", 20, rounds=45, opened=3),
    Case("mixed", 3, 8, rounds=3),
    Case("switch", 3, 16, rounds=5),
    Case("step", 20, 16, rounds=5),
    Case("prompt", 1, 32, rounds=5),
    Case("drift", 3, rounds=100, model="tiny"),
    *(Case("traffic", 20, rounds=24, popularity=each) for each in traffic.POPULARITIES),
    Case("step", 20, 32, rounds=3),
    Case("step", 5, 64, rounds=2),
)
"""What the figures of `docs/speed.md` are made of."""


GPU_CASES = tuple(
    replace(case, model=model, latent=latent, device="cuda", dtype="float16")
    for model, latent in (("sd15", 64), ("sdxl", 128))
    for case in (
        *(Case("gates", loras, rounds=30) for loras in (3, 20)),
        Case("folds", 3, rounds=10),
        *(Case("step", loras, rounds=20) for loras in (1, 5, 20)),
        Case("layers", 5, rounds=20),
        *(Case("composite", loras, rounds=10) for loras in (2, 3, 5)),
        Case("mixed", 3, rounds=10),
        Case("switch", 3, rounds=20),
        Case("compiled", 5, rounds=20),
        Case("prompt", 1, rounds=20),
    )
)
"""The same on a GPU, in half precision, at the size of the models' own images."""


def small(case: Case) -> Case:
    """The same on a model of a few kilobytes, to see that everything runs."""
    rounds, loras = min(case.rounds, 3), min(case.loras, 3)
    opened = min(case.opened, loras - 1)
    sized = replace(case, model="tiny", latent=8, rank=4, device="cpu", dtype="float32")
    return replace(sized, rounds=rounds, loras=loras, opened=opened)


def run(case: Case) -> dict[str, Any]:
    """Measure one case, on one thread."""
    with one_thread():
        one = bench(case.model, case.device, getattr(torch, case.dtype))
        return EXPERIMENTS[case.experiment](one, case)


def _loras(one: Bench, case: Case) -> list[lf.LoRA]:
    return [random_lora(one.unet, seed, case.rank, case.targets) for seed in range(case.loras)]


@contextmanager
def _files(one: Bench, case: Case) -> Iterator[list[Path]]:
    with tempfile.TemporaryDirectory(prefix="lorafusion-") as folder:
        yield kohya_files(one.unet, Path(folder), case.loras, case.rank, case.targets)


def _loads(one: Bench, case: Case) -> dict[str, Any]:
    with _files(one, case) as files:
        return loads.loads(one, files, case.rounds)


def _traffic(one: Bench, case: Case) -> dict[str, Any]:
    with _files(one, case) as files:
        return traffic.traffic(one, files, case.popularity, case.rounds)


EXPERIMENTS: dict[str, Callable[[Bench, Case], dict[str, Any]]] = {
    "step": lambda one, c: steps.step(one, _loras(one, c), c.batch, c.latent, c.rounds, c.device),
    "layers": lambda one, c: steps.layers(
        one, _loras(one, c), c.batch, c.latent, c.rounds, c.device
    ),
    "gates": lambda one, c: changes.gates(
        one, _loras(one, c), c.opened or c.loras, c.rounds, c.device
    ),
    "folds": lambda one, c: changes.folds(
        one, _loras(one, c), c.opened or c.loras, c.rounds, c.device
    ),
    "drift": lambda one, c: changes.drift(one, _loras(one, c), c.rounds),
    "composite": lambda one, c: branches.composite(
        one, _loras(one, c), c.latent, c.rounds, c.device
    ),
    "mixed": lambda one, c: branches.mixed(one, _loras(one, c), c.latent, c.rounds, c.device),
    "switch": lambda one, c: branches.switch(one, _loras(one, c), c.latent, c.rounds, c.device),
    "loads": _loads,
    "traffic": _traffic,
    "prompt": lambda one, c: prompt.prompt(one, c.batch, c.latent, c.rounds, c.device),
    "compiled": lambda one, c: compiles.compiled(
        one, _loras(one, c), c.batch, c.latent, c.rounds, c.device
    ),
}


def allocator() -> str:
    """How memory is asked for in this process: "default" or "tuned"."""
    return (
        "tuned" if all(os.environ.get(key) == value for key, value in TUNED.items()) else "default"
    )
