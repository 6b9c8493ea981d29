"""Mapped: the arrays of a safetensors file in memory that is mapped, so that only what is used is read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

_KINDS = {"F32": "<f4", "I64": "<i8", "U8": "u1"}
"""What models of sentences and our own files are made of."""
_HEADER = 1 << 20
"""Bytes of the longest header that is read."""


def mapped(path: Path) -> tuple[dict[str, Shaped[np.ndarray, "..."]], dict[str, str]]:
    """The arrays of a file by name, which cannot be written to, and its metadata.

    Raises:
        OSError: it cannot be read.
        ValueError: it is cut short, no safetensors file, or has other kinds of numbers than these.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > _HEADER:
            raise ValueError(f"{path}: its header has {size} bytes; expected {_HEADER} at most")
        told = json.loads(file.read(size))
    body = np.asarray(np.memmap(path, np.uint8, "r"))[8 + size :]
    try:
        metadata = told.pop("__metadata__", {})
        found = {name: _array(body, **about) for name, about in told.items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a table of such arrays ({error})") from error
    return found, metadata


def _array(
    body: Shaped[np.ndarray, " b"], dtype: str, shape: list[int], data_offsets: list[int]
) -> Shaped[np.ndarray, "..."]:
    start, end = data_offsets
    part = body[start:end]
    if len(part) != end - start:
        raise ValueError(f"{len(part)} bytes are there; expected {end - start}")
    return part.view(_KINDS[dtype]).reshape(shape)
