"""LoRA files <-> LoRA: `read`, `write`, and `header`, which reads no tensor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from lorafusion.errors import BadOption, InputError, UnreadableFile
from lorafusion.families import recognise
from lorafusion.formats import about, container, peft_config
from lorafusion.formats.container import PICKLES
from lorafusion.formats.format import Format
from lorafusion.formats.gates import read_gates, write_gates
from lorafusion.formats.header import Header
from lorafusion.formats.kept import Kept
from lorafusion.formats.table import FORMATS, format_of
from lorafusion.lora import LoRA

_WRITTEN = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def read(path: str | Path, *, name: str | None = None) -> LoRA:
    """Read a whole LoRA file. Every tensor of it is used, or it is refused.

    Args:
        path: a .safetensors file of any format in `FORMATS`.
        name: of the LoRA; the file's name without its suffix, unless given.

    Returns:
        LoRA with tensors in their stored dtype, and alpha / rank in each delta's scale.

    Raises:
        UnreadableFile: missing, cut short, a pickle, not safetensors, NaN, or matrices that do not
            fit.
        UnknownFormat: no format claims the keys, or more than one does.
        UnreadTensors: some tensors are not part of a plain LoRA.
    """
    path = Path(path)
    with container.opened(path) as file:
        with _where(path):
            form = format_of(file.header.keys)
        tensors, digest = file.load()
        metadata = dict(file.header.metadata)
    with _where(path):
        deltas = about.sharpened(form.read(tensors, _settings(path, metadata)), metadata)
    return LoRA(
        name=path.stem if name is None else name,
        deltas=deltas,
        digest=digest,
        family=recognise(deltas, about.bases(metadata)),
        category=about.category(metadata),
        triggers=about.triggers(metadata),
        metadata=metadata,
    )


KEPT = Kept(read, budget=1 << 30)
"""What libraries load through: a gigabyte of files; set ``KEPT.budget`` to another number of bytes."""


def write(lora: LoRA, path: str | Path, format: str) -> None:  # noqa: A002  (the word callers expect)
    """Write a LoRA file; reading it gives the same targets, tensors, scales, triggers and category.

    The file appears whole or not at all.

    Args:
        lora: to be written.
        path: ends in .safetensors; replaced if it exists.
        format: a name of `FORMATS`.

    Raises:
        UnknownName: no such format.
        BadOption: the LoRA is empty, holds values that a file must not have, or does not fit the
            format.
        NotWritable: the folder is missing or refuses the file.
    """
    form = FORMATS[format]
    if not lora.deltas:
        raise BadOption(f"LoRA {lora.name!r} is empty; there is nothing to write")
    tensors, metadata = form.write(lora)
    for key, tensor in tensors.items():
        if tensor.dtype not in _WRITTEN or not torch.isfinite(tensor).all():
            raise BadOption(
                f"LoRA {lora.name!r}: {key!r} is {tensor.dtype} or holds NaN or infinite values; "
                "expected finite floating point of 16, 32 or 64 bits"
            )
    container.save(Path(path), tensors, metadata)


def header(path: str | Path) -> Header:
    """Keys, shapes, dtypes and metadata of a file, without reading a tensor.

    Raises:
        UnreadableFile: missing, cut short, a pickle, or not safetensors.
    """
    return container.header(Path(path))


def family_of(path: str | Path) -> str:
    """The base model's family of a file, without reading a tensor.

    Raises:
        InputError: as `read`, for what keys, shapes and metadata show.
    """
    path = Path(path)
    head = container.header(path)
    with _where(path):
        deltas = format_of(head.keys).read(head.blanks(), {})
        return recognise(deltas, about.bases(head.metadata))


def _settings(path: Path, metadata: dict[str, str]) -> dict[str, str]:
    """The header, with the settings that peft keeps in a file of their own beside an adapter."""
    beside = path.with_name("adapter_config.json")
    if path.name != "adapter_model.safetensors" or peft_config.KEY in metadata:
        return metadata
    if not beside.is_file():
        return metadata
    try:
        return metadata | {peft_config.KEY: beside.read_text(encoding="utf-8")}
    except (OSError, ValueError) as error:
        raise UnreadableFile(
            f"{beside} cannot be read beside it; fetch both files again"
        ) from error


@contextmanager
def _where(path: Path) -> Iterator[None]:
    """Put the file's path before the message of any error of a reader."""
    try:
        yield
    except InputError as error:
        if str(error).startswith(str(path)):
            raise
        raise type(error)(f"{path}: {error}") from error


__all__ = [
    "FORMATS",
    "KEPT",
    "PICKLES",
    "Format",
    "Header",
    "family_of",
    "header",
    "read",
    "read_gates",
    "write",
    "write_gates",
]
