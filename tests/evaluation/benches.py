"""A tiny run: three random LoRAs for a tiny base model, two sets, written as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from lorafusion.evaluation.runner.config import Bench, read_bench
from tests import tiny

MANIFEST = """
name = "tiny"
[setting.one]
steps = 2
width = 16
height = 16
[[setting.one.lora]]
name = "robot"
category = "character"
words = ["rusto robot"]
[[setting.one.lora]]
name = "crown"
category = "clothing"
words = ["gold crown"]
[[setting.one.lora]]
name = "library"
category = "background"
words = ["old library"]
[generate]
sizes = [2, 3]
prompt = "{words}"
"""
BENCH = """
testbed = "bed.toml"
methods = ["naive", "alone", "merge", { name = "switch", period = 1 }, "composite"]
seeds = 2
router = "equal"
loras = "loras"
out = "out"
"""
IMAGES = 3 * (4 * 2) + 2 * (2 + 2 + 3)
"""Three sets by four arms and two seeds, and each LoRA of each set alone."""


def written(folder: Path, changes: str = "", pipe: Any = None) -> Path:
    """The files of a run in `folder`; `changes` are lines in place of those of the same field."""
    (folder / "loras").mkdir(parents=True, exist_ok=True)
    pipe = pipe or tiny.pipeline("sd")
    for seed, name in enumerate(("robot", "crown", "library")):
        save_file(tiny.state_dict(pipe, seed=seed), folder / "loras" / f"{name}.safetensors")
    (folder / "bed.toml").write_text(MANIFEST)
    fields = dict(line.split(" = ", 1) for line in BENCH.strip().splitlines())
    fields |= dict(line.split(" = ", 1) for line in changes.strip().splitlines())
    file = folder / "bench.toml"
    file.write_text("".join(f"{key} = {value}\n" for key, value in fields.items()))
    return file


def bench(folder: Path, changes: str = "", pipe: Any = None) -> Bench:
    return read_bench(written(folder, changes, pipe))


def opener(pipe: Any) -> Callable[[str], Any]:
    """What opens the one base model there is."""
    return lambda base: pipe


def pixels(out: Path) -> dict[str, bytes]:
    """Every image of a run, with its record: the bytes of its file."""
    images = out / "images"
    return {str(p.relative_to(images)): p.read_bytes() for p in sorted(images.rglob("*.png"))}
