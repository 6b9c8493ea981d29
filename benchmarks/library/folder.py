"""A folder of many LoRA files with real headers and bodies of holes."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

from tests.library.many import header, old

TABLES = ("kohya_sd15", "kohya_sdxl", "kohya_sd21", "peft_sdxl", "peft_flux")
RANKS = (1, 2, 4)
TAGS = 200


def make(folder: Path, count: int) -> None:
    """Write `count` files in folders of 500, the same for the same count."""
    draw = random.Random(count)
    words = [f"word{i}" for i in range(2000)]
    heads = [header(table, rank) for table in TABLES for rank in RANKS]
    for number in range(count):
        entries, size = heads[number % len(heads)]
        tags = {word: draw.randint(1, 300) for word in draw.sample(words, TAGS)}
        told = {
            "ss_output_name": f"thing_{number}",
            "ss_network_dim": str(RANKS[number % len(RANKS)]),
            "ss_tag_frequency": json.dumps({"1_thing": tags}),
        }
        path = folder / f"{number // 500:02d}" / f"thing_{number}.safetensors"
        write(path, told, entries, size, draw.randbytes(64))


def write(
    path: Path, told: dict[str, str], entries: dict[str, object], size: int, start: bytes
) -> None:
    """One file: header, the first bytes of its tensors, a hole; old enough to be believed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"__metadata__": told} | entries).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + start)
        file.truncate(8 + len(text) + size)
    old(path)


def change(folder: Path) -> Path:
    """Write one file anew with other metadata."""
    path = min(folder.rglob("*.safetensors"))
    write(path, {"modelspec.title": "changed"}, *header(TABLES[0]), os.urandom(64))
    return path
