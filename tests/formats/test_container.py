"""What is no LoRA file is refused in one line, and what is written appears whole or not at all."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from lorafusion import formats
from lorafusion.errors import BadOption, InputError, NotWritable, UnknownName, UnreadableFile
from lorafusion.formats import container
from lorafusion.lora import LoRA
from tests.formats.files import TO_Q, WRITABLE, kohya_tensors, low_rank, peft_tensors, saved, small

SPOILERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda p: p.unlink(), "no such file"),
    "a folder": (lambda p: (p.unlink(), p.mkdir()), "folder"),
    "empty": (lambda p: p.write_bytes(b""), "0 bytes"),
    "a few bytes": (lambda p: p.write_bytes(b"abc"), "not safetensors"),
    "cut in the header": (lambda p: p.write_bytes(p.read_bytes()[:40]), "cut short"),
    "cut in the tensors": (lambda p: p.write_bytes(p.read_bytes()[:-4]), "cut short"),
    "too long": (lambda p: p.write_bytes(p.read_bytes() + b"more"), "cut short or damaged"),
    "no JSON": (lambda p: p.write_bytes(_with_header(b"{nothing")), "header"),
    "another JSON": (lambda p: p.write_bytes(_with_header(b'{"a": 3}')), "header"),
    "shapes of words": (lambda p: p.write_bytes(_with_header(_entry(shape=["x"]))), "header"),
    "negative sizes": (lambda p: p.write_bytes(_with_header(_entry(shape=[-4]))), "header"),
    "metadata of numbers": (
        lambda p: p.write_bytes(_with_header(b'{"__metadata__": {"a": 1}, ' + _entry()[1:])),
        "header",
    ),
    "nested without end": (lambda p: p.write_bytes(_with_header(b'{"a":' * 100_000)), "header"),
    "shape and bytes differ": (
        lambda p: p.write_bytes(_with_header(_entry(shape=[3])) + b"1234"),
        "not that of a safetensors",
    ),
    "no tensor": (
        lambda p: p.write_bytes(_with_header(b'{"__metadata__": {"a": "b"}}')), "no tensor",
    ),
    "an endless header": (
        lambda p: p.write_bytes((2**62).to_bytes(8, "little") + b"{}"), "cut short",
    ),
    "a renamed zip": (lambda p: torch.save({"a": torch.ones(2)}, p), "zip"),
    "a renamed pickle": (lambda p: p.write_bytes(pickle.dumps(list(range(50)))), "pickle"),
    "a web page": (lambda p: p.write_bytes(b"<!DOCTYPE html><html></html>"), "web page"),
    "a git-lfs pointer": (
        lambda p: p.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), "git-lfs",
    ),
}  # fmt: skip


def _with_header(text: bytes) -> bytes:
    return len(text).to_bytes(8, "little") + text


def _entry(shape: list[object] | None = None) -> bytes:
    entry = {"dtype": "F32", "shape": shape or [1], "data_offsets": [0, 4]}
    return json.dumps({next(iter(kohya_tensors())): entry}).encode()


@pytest.mark.parametrize("case", SPOILERS)
def test_a_bad_file_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    spoil, seen = SPOILERS[case]
    path = saved(tmp_path, kohya_tensors())
    spoil(path)
    with pytest.raises(UnreadableFile) as caught:
        formats.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert seen in message
    assert "\n" not in message


@pytest.mark.parametrize("suffix", sorted(formats.PICKLES))
def test_a_pickle_is_refused_unread(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"lora{suffix.upper()}"
    path.write_bytes(pickle.dumps({}))

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("the file was opened")

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(UnreadableFile, match="refused unread"):
        formats.read(path)
    with pytest.raises(UnreadableFile, match="refused unread"):
        formats.header(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("key", list(kohya_tensors()))
def test_a_value_that_is_not_finite_is_refused_by_name(
    key: str, value: float, tmp_path: Path
) -> None:
    tensors = kohya_tensors()
    tensors[key].view(-1)[-1] = value
    with pytest.raises(UnreadableFile, match="NaN or infinite") as caught:
        formats.read(saved(tmp_path, tensors))
    assert key in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_eight_bits_are_read_exactly(dtype: torch.dtype, tmp_path: Path) -> None:
    tensors = {key: tensor.to(dtype) for key, tensor in peft_tensors().items()}
    delta = formats.read(saved(tmp_path, tensors)).deltas[TO_Q]
    assert delta.down.dtype == torch.float16
    assert torch.equal(delta.down.double(), tensors[f"{TO_Q}.lora_A.weight"].double())


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool])
def test_other_dtypes_are_refused(dtype: torch.dtype, tmp_path: Path) -> None:
    tensors = {key: tensor.to(dtype) for key, tensor in peft_tensors().items()}
    with pytest.raises(UnreadableFile, match="is stored as"):
        formats.read(saved(tmp_path, tensors))


def test_alpha_may_be_a_whole_number(tmp_path: Path) -> None:
    tensors = kohya_tensors(alpha=None, rank=2)
    tensors |= {
        key.replace("lora_up.weight", "alpha"): torch.tensor(3) for key in tensors if "up" in key
    }
    assert formats.read(saved(tmp_path, tensors)).deltas[TO_Q].scale == 1.5


def test_the_header_is_read_without_the_tensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, kohya_tensors(), {"ss_output_name": "robot"})
    monkeypatch.setattr(container, "views", None)
    monkeypatch.setattr(Path, "read_bytes", None)
    head = formats.header(path)
    assert sorted(head.keys) == sorted(kohya_tensors())
    assert head.shapes[next(key for key in head.keys if "lora_down" in key)] == (2, 5)
    assert set(head.dtypes.values()) == {"F32"}
    assert head.metadata == {"ss_output_name": "robot"}
    assert formats.family_of(path) == "unknown"


@pytest.mark.parametrize("form", WRITABLE)
def test_a_written_file_is_good_safetensors_and_always_the_same(form: str, tmp_path: Path) -> None:
    lora = small(0.3)
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    formats.write(lora, one, form)
    formats.write(lora, two, form)
    assert one.read_bytes() == two.read_bytes()
    tensors, metadata = formats.FORMATS[form].write(lora)
    loaded = load_file(one)
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[key], tensors[key]) for key in tensors)
    with safe_open(one, "pt") as file:
        assert file.metadata() == metadata
    assert list(tmp_path.iterdir()) == [one, two] or list(tmp_path.iterdir()) == [two, one]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.safetensors"
    formats.write(small(), path, "peft")
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(NotWritable, match="No space left"):
        formats.write(small(2.0), path, "peft")
    assert [path] == list(tmp_path.iterdir())
    assert path.read_bytes() == before


def test_writing_into_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotWritable, match="choose a folder"):
        formats.write(small(), tmp_path / "none" / "a.safetensors", "peft")
    with pytest.raises(BadOption, match="rename it"):
        formats.write(small(), tmp_path / "a.bin", "peft")
    with pytest.raises(UnknownName, match="Did you mean 'kohya'"):
        formats.write(small(), tmp_path / "a.safetensors", "koyha")
    assert not list(tmp_path.iterdir())


def test_what_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    broken = low_rank((6, 5))
    broken.up[0, 0] = float("nan")
    for deltas in ({}, {TO_Q: broken}, {TO_Q: low_rank((6, 5), scale=float("inf"))}):
        with pytest.raises(InputError):
            formats.write(LoRA("broken", deltas), path, "kohya")
    assert not path.exists()


def test_the_name_and_hash_of_a_lora_are_the_files(tmp_path: Path) -> None:
    path = saved(tmp_path, kohya_tensors(), name="robot v1.5")
    lora = formats.read(path)
    assert lora.name == "robot v1.5"
    assert len(lora.sha256) == 64
    assert formats.read(str(path), name="other").name == "other"
