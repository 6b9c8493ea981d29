"""Scan: the LoRA files of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lorafusion.errors import EmptyLibrary, UnreadableFile
from lorafusion.library.sidecars import SUFFIX, beside_names, is_lora


class Found(NamedTuple):
    """A LoRA file that is there, and what shows whether it or its sidecars have changed.

    Attributes:
        path: relative to the folder that was searched.
        stamp: of the file: size, mtime and ctime in nanoseconds.
        mtime: when it was last written, in nanoseconds; the latest of the file and its sidecars.
        beside: names and stamps of its sidecars and previews.
    """

    path: str
    stamp: str
    mtime: int
    beside: str


def scan(folder: Path) -> list[Path]:
    """Every ``.safetensors`` file in a folder and the folders in it, sorted by path.

    The suffix may be written in capitals. Links to folders are followed, hidden files and folders are passed over.

    Returns:
        paths inside `folder`, relative to it.

    Raises:
        UnreadableFile: the folder is missing, is no folder, or cannot be listed.
        EmptyLibrary: there is no such file; the message names pickles that were refused.
    """
    return [Path(found.path) for found in look(folder)]


def look(folder: Path) -> list[Found]:
    """As `scan`, with a stamp for each file; opens none.

    Raises:
        UnreadableFile, EmptyLibrary: as `scan`.
    """
    if not folder.exists():
        raise UnreadableFile(f"{folder}: no such folder; give a folder of {SUFFIX} files")
    if not folder.is_dir():
        raise UnreadableFile(
            f"{folder}: is a file; give the folder of {SUFFIX} files that it is in"
        )
    found, others = [], []
    for inside, names in _folders(folder):
        loras = [name for name in names if is_lora(name)]
        alone = len(loras) == 1
        rest = names.difference(loras)
        # Strings instead of Path: ten thousand files are looked at each time a library is opened.
        start = os.path.join(inside, "")  # noqa: PTH118 - fast
        here = os.path.join(folder, start)  # noqa: PTH118 - fast
        for name in loras:
            stem = name[: -len(SUFFIX)]
            beside = beside_names(stem, rest, alone=alone) if rest else []
            found.append(_found(here, start, name, beside))
        others += [] if found else [start + name for name in names]
    if not found:
        raise EmptyLibrary(_empty(folder, others))
    # As by the parts of the path: no name has a zero in it, and none comes before it.
    return sorted(found, key=lambda file: file.path.replace(os.sep, "\0"))


def _folders(folder: Path) -> Iterator[tuple[str, set[str]]]:
    """Each folder, relative to `folder`, with the names of its files; nothing that is hidden."""
    seen: set[str] = set()
    for here, folders, names in os.walk(folder, followlinks=True, onerror=_refuse):
        real = os.path.realpath(here)
        if real in seen:  # a link to a folder above or beside: its files were met already
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = os.path.relpath(here, folder)
        yield "" if inside == "." else inside, {name for name in names if name[0] != "."}


def _found(here: str, start: str, name: str, beside: list[str]) -> Found:
    stamp, mtime = _stamp(here + name)
    if not beside:
        return Found(start + name, stamp, mtime, "")
    stamps = [(other, *_stamp(here + other)) for other in beside]
    return Found(
        path=start + name,
        stamp=stamp,
        mtime=max([mtime, *(latest for _, _, latest in stamps)]),
        beside="\n".join(f"{other} {its}" for other, its, _ in stamps),
    )


def _stamp(path: str) -> tuple[str, int]:
    """What differs when a file was written, replaced or made readable, and its mtime."""
    try:
        seen = os.stat(path)  # noqa: PTH116 - fast
    except OSError:  # gone, or a link to nothing: reading it says so
        return "", 0
    return f"{seen.st_size} {seen.st_mtime_ns} {seen.st_ctime_ns}", seen.st_mtime_ns


def _refuse(error: OSError) -> None:
    raise UnreadableFile(f"{error.filename}: cannot list the folder ({error.strerror})") from error


def _empty(folder: Path, others: list[str]) -> str:
    from lorafusion.formats import PICKLES  # imports torch

    pickles = [path for path in map(Path, others) if path.suffix.lower() in PICKLES]
    message = f"{folder}: no {SUFFIX} file in this folder or below"
    if not pickles:
        return f"{message}; put LoRA files there or give another folder"
    return (
        f"{message}, only {len(pickles)} of a kind that can run code ({min(pickles)}), "
        f"refused unread; convert them to {SUFFIX}"
    )
