"""Kept LoRAs: read once while the file is the same, within the bytes there are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lorafusion import formats
from lorafusion.errors import UnreadableFile
from lorafusion.formats.kept import Kept
from lorafusion.library import Library
from lorafusion.lora import LoRA

KEY = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_{}.weight"


def made(folder: Path, name: str, value: float = 1.0, age: float = 60) -> Path:
    path = folder / f"{name}.safetensors"
    pair = {"A": torch.full((2, 8), value), "B": torch.full((8, 2), value)}
    save_file({KEY.format(side): tensor for side, tensor in pair.items()}, path)
    written = path.stat().st_mtime - age
    os.utime(path, (written, written))
    return path


class Reader:
    """Counts what is read."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, path: Path) -> LoRA:
        self.seen.append(path.stem)
        return formats.read(path)


def test_a_file_is_read_once_while_it_is_the_same(tmp_path: Path) -> None:
    reader = Reader()
    kept = Kept(reader, budget=10_000)
    path = made(tmp_path, "a")
    one, other = kept.get(path, "one"), kept.get(path, "other")
    assert reader.seen == ["a"]
    assert (one.name, other.name) == ("one", "other")
    assert next(iter(one.deltas.values())) is next(iter(other.deltas.values()))
    made(tmp_path, "a", value=2.0, age=59)
    (delta,) = kept.get(path, "a").deltas.values()
    assert delta.down[0, 0] == 2
    assert reader.seen == ["a", "a"]


def test_a_file_that_was_just_written_is_not_trusted_to_stay(tmp_path: Path) -> None:
    reader = Reader()
    kept = Kept(reader, budget=10_000)
    path = made(tmp_path, "a", age=0)
    kept.get(path, "a")
    assert kept.size == 0
    kept.get(path, "a")
    assert reader.seen == ["a", "a"]


def test_the_least_recently_used_go_first_and_memory_does_not_grow(tmp_path: Path) -> None:
    reader = Reader()
    paths = [made(tmp_path, name) for name in "abcd"]
    size = paths[0].stat().st_size
    kept = Kept(reader, budget=3 * size)
    for path in (*paths[:3], paths[0], paths[3], paths[0], paths[1]):
        kept.get(path, path.stem)
        assert kept.size <= 3 * size
    assert reader.seen == ["a", "b", "c", "d", "b"]
    kept.budget = 0
    kept.get(paths[2], "c")
    assert kept.size == 0


def test_a_file_that_is_gone_says_so(tmp_path: Path) -> None:
    kept = Kept(formats.read, budget=10_000)
    path = made(tmp_path, "a")
    kept.get(path, "a")
    path.unlink()
    with pytest.raises(UnreadableFile, match=r"a\.safetensors: cannot be read"):
        kept.get(path, "a")


def test_libraries_load_through_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORAFUSION_CACHE", str(tmp_path / "cache"))
    (tmp_path / "loras").mkdir()
    made(tmp_path / "loras", "robot")
    reader = Reader()
    monkeypatch.setattr(formats, "KEPT", Kept(reader, budget=10_000))
    for _ in range(3):
        (entry,) = Library(tmp_path / "loras")
        assert entry.load().name == "robot"
    assert reader.seen == ["robot"]
