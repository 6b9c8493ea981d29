"""The safetensors container: bytes on disk <-> named tensors and text. Nothing in it is executed.

Source: https://github.com/huggingface/safetensors#format : eight bytes of header length, a JSON
header, the data.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lorafusion.errors import BadOption, NotWritable, UnreadableFile
from lorafusion.formats.body import NARROW, SCALARS, not_finite, views
from lorafusion.formats.header import Header
from lorafusion.spare import SPARE, Bytes

PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"})
"""Suffixes of files that could run code when they are opened."""

_MAX_HEADER = 100_000_000
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "BOOL": 8, "U8": 8, "I8": 8} | {
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F16": 16, "BF16": 16, "I16": 16, "U16": 16, "F32": 32, "I32": 32, "U32": 32,
    "F64": 64, "I64": 64, "U64": 64, "C64": 64,
}  # fmt: skip
_MOST_DIMENSIONS = 8
_PRETENDERS = {
    b"PK\x03\x04": "a zip archive (a pickle of torch is one)",
    b"\x80": "a pickle",
    b"GGUF": "a GGUF file",
    b"version https://git-lfs": "a git-lfs pointer; fetch the file itself",
    b"<": "a web page; the download failed",
}


def header(path: Path) -> Header:
    """Read names, shapes and metadata, but no tensor.

    Raises:
        UnreadableFile: missing, not an ordinary file, empty, cut short, a pickle, or not
            safetensors.
    """
    with opened(path) as file:
        return file.header


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """The file with its header read, inside the block; its tensors are read when they are asked for.

    Raises:
        UnreadableFile: as `header`.
    """
    _check_kind(path)
    with _reading(path), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(32)
        length = _length(path, start, size)
        file.seek(8)
        text = file.read(length)
        yield Opened(path, file, start[:8] + text, _parsed(path, text, size - 8 - length))


@dataclass(frozen=True)
class Opened:
    """A file that is open.

    Attributes:
        path: of it.
        file: at the first byte of the tensors.
        start: its bytes up to there.
        header: what they say.
    """

    path: Path
    file: BufferedReader
    start: bytes
    header: Header

    def load(self) -> tuple[dict[str, Tensor], Callable[[], str]]:
        """Read the rest: tensors in their stored dtype (eight bits as float16), and the file's sha256 to be.

        The tensors are views of one piece of memory, as large as the file. It is not mapped: a mapped
        file that somebody writes to later would change values that have been checked.

        Raises:
            UnreadableFile: a tensor of another dtype than a LoRA has, or NaN or infinite values.
        """
        _check_dtypes(self.path, self.header)
        body = SPARE.take(max(stop for _, stop in self.header.spans.values()))
        with _reading(self.path):
            read = self.file.readinto(body.data)
            if read != len(body) or self.file.read(1):
                raise UnreadableFile(f"{self.path}: changed while it was read; try again")
        if strange := not_finite(self.header, body):
            raise UnreadableFile(
                f"{self.path}: tensor {strange!r} holds NaN or infinite values; "
                "its training broke, use another file"
            )
        return views(self.header, body), _digest(self.start, body)


def _digest(start: bytes, body: Bytes) -> Callable[[], str]:
    """What works out the sha256 of these bytes, once."""

    @functools.cache
    def digest() -> str:
        made = hashlib.sha256(start)
        made.update(body.data)
        return made.hexdigest()

    return digest


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnreadableFile(f"{path}: cannot be read ({error.strerror})") from error


def save(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a file beside its target and rename it; equal content gives equal bytes.

    Raises:
        BadOption: the path does not end in .safetensors.
        NotWritable: the folder is missing or refuses the file.
    """
    if path.suffix != ".safetensors":
        raise BadOption(f"{path}: LoRA files end in .safetensors, not {path.suffix!r}; rename it")
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            part.write_bytes(_bytes(tensors, metadata))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise NotWritable(
            f"{path}: cannot be written ({error.strerror}); "
            "choose a folder that exists and is writable"
        ) from error


def _check_kind(path: Path) -> None:
    if not path.exists():
        raise UnreadableFile(f"{path}: there is no such file")
    if not path.is_file():
        raise UnreadableFile(f"{path}: is a folder or a device; expected a .safetensors file")
    if path.suffix.lower() in PICKLES:
        raise UnreadableFile(
            f"{path}: is refused unread, a {path.suffix} file can run code when it is opened; "
            "convert it to .safetensors where you trust it"
        )


def _length(path: Path, start: bytes, size: int) -> int:
    """The header's length, once the file's first bytes and its size fit a safetensors file."""
    if not start:
        raise UnreadableFile(f"{path}: is empty (0 bytes); fetch it again")
    if start[8:9] != b"{":
        kind = next((kind for magic, kind in _PRETENDERS.items() if start.startswith(magic)), "")
        seen = f"looks like {kind}" if kind else f"has {size} bytes and no header"
        raise UnreadableFile(f"{path}: is not safetensors, it {seen}; use a .safetensors file")
    length = int.from_bytes(start[:8], "little")
    if length > min(size - 8, _MAX_HEADER):
        raise UnreadableFile(
            f"{path}: is cut short or damaged, its header has {length} bytes and the file {size}; "
            "fetch it again"
        )
    return length


def _parsed(path: Path, text: bytes, body: int) -> Header:
    try:
        raw = json.loads(text.decode(), object_pairs_hook=_once)
        metadata = raw.pop("__metadata__", None) or {}
        spans = [tuple(entry["data_offsets"]) for entry in raw.values()]
        shapes = {key: tuple(entry["shape"]) for key, entry in raw.items()}
        dtypes = {key: entry["dtype"] for key, entry in raw.items()}
        sizes = (*(end for span in spans for end in span), *(n for s in shapes.values() for n in s))
        # type() and not isinstance(): true is an int to Python.
        sound = all(type(size) is int and size >= 0 for size in sizes)
        sound &= all(isinstance(word, str) for word in metadata.values())
        sound &= all(key.isprintable() and len(shapes[key]) <= _MOST_DIMENSIONS for key in shapes)
        sound = sound and all(
            (end - start) * 8 == math.prod(shapes[key]) * _BITS[dtypes[key]]
            for key, (start, end) in zip(shapes, spans, strict=True)
        )
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        sound = False
    if not sound:
        raise UnreadableFile(
            f"{path}: its header is not that of a safetensors file; fetch it again"
        )
    if not shapes:
        raise UnreadableFile(f"{path}: holds no tensor; a LoRA has at least two")
    _check_spans(path, sorted(spans), body)
    return Header(shapes, dtypes, metadata, dict(zip(shapes, spans, strict=True)))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, in which every key stands once."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key stands twice")
    return made


def _check_spans(path: Path, spans: list[tuple[int, int]], body: int) -> None:
    """The tensors lie one behind the other and fill the rest of the file."""
    need = max(end for _, end in spans)
    if need != body:
        raise UnreadableFile(
            f"{path}: is cut short or damaged, its tensors need {need} bytes and it "
            f"has {body}; fetch it again"
        )
    place = 0
    for start, end in spans:
        if start != place:
            raise UnreadableFile(
                f"{path}: is damaged, its tensors overlap or leave a hole at byte {place}; "
                "fetch it again"
            )
        place = end


def _check_dtypes(path: Path, head: Header) -> None:
    for key, dtype in head.dtypes.items():
        if dtype not in (_DTYPES | NARROW) and not (
            dtype in SCALARS and math.prod(head.shapes[key]) == 1
        ):
            raise UnreadableFile(
                f"{path}: tensor {key!r} is stored as {dtype}; expected {', '.join((*_DTYPES, *NARROW))}, "
                "save the LoRA in one of them"
            )


def _bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """The whole file. Written here because the library orders metadata anew in every run."""
    # Wide types first, so that every tensor starts at a multiple of its item's size.
    order = sorted(tensors, key=lambda key: (-tensors[key].dtype.itemsize, key))
    entries: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    body = bytearray()
    for key in order:
        tensor = tensors[key].detach().cpu().contiguous()
        start = len(body)
        body += tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
        entries[key] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, len(body)],
        }
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + bytes(body)
