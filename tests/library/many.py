"""Folders of many LoRA files: the header of a real one, random bytes instead of a training."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

from tests.fixtures import keys

LONG_AGO = 1_700_000_000
_ROLES = {
    "kohya": ("lora_down.weight", "lora_up.weight"),
    "peft": ("lora_A.weight", "lora_B.weight"),
}


def header(stem: str, rank: int = 1) -> tuple[dict[str, object], int]:
    """The tensors of a LoRA for a table of keys, as a safetensors header has them, and their size."""
    entries: dict[str, object] = {}
    end = 0
    for name, (out, *rest) in keys.table(stem)["modules"].items():
        shapes = ([rank, *rest], [out, rank, *[1] * (len(rest) - 1)])
        for role, shape in zip(_ROLES[stem.partition("_")[0]], shapes, strict=True):
            start, end = end, end + 2 * math.prod(shape)
            key = f"{name}.{role}"
            entries[key] = {"dtype": "F16", "shape": shape, "data_offsets": [start, end]}
    return entries, end


def old(*paths: Path) -> None:
    """Make files look as if they had been there for long."""
    for path in paths:
        os.utime(path, (LONG_AGO, LONG_AGO))


def put_many(folder: Path, count: int, stem: str = "peft_flux") -> list[Path]:
    """Write files with different metadata and different bytes, mostly holes."""
    entries, size = header(stem)
    paths = [folder / f"{i % 7}" / f"thing_{i}.safetensors" for i in range(count)]
    for i, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        told = {"ss_output_name": f"thing_{i}", "modelspec.description": f"a thing, number {i}"}
        text = json.dumps({"__metadata__": told} | entries).encode()
        with path.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text + i.to_bytes(8, "little"))
            file.truncate(8 + len(text) + size)
    old(*paths)
    return paths
