"""Scan: the LoRA files of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lorafusion import formats
from lorafusion.errors import EmptyLibrary, UnreadableFile

SUFFIX = ".safetensors"


def scan(folder: Path) -> list[Path]:
    """Every ``.safetensors`` file in a folder and the folders in it, sorted by path.

    Links to folders are followed, hidden files and folders are passed over.

    Returns:
        paths inside `folder`, relative to it.

    Raises:
        UnreadableFile: the folder is missing, is no folder, or cannot be listed.
        EmptyLibrary: there is no such file; the message names pickles that were refused.
    """
    if not folder.exists():
        raise UnreadableFile(f"{folder}: no such folder; give a folder of {SUFFIX} files")
    if not folder.is_dir():
        raise UnreadableFile(
            f"{folder}: is a file; give the folder of {SUFFIX} files that it is in"
        )
    files = list(_files(folder))
    found = sorted(file for file in files if file.suffix == SUFFIX)
    if not found:
        raise EmptyLibrary(
            _empty(folder, [file for file in files if file.suffix.lower() in formats.PICKLES])
        )
    return found


def _files(folder: Path) -> Iterator[Path]:
    """Paths of all files that are not hidden, relative to `folder`."""
    seen: set[str] = set()
    for here, folders, names in os.walk(folder, followlinks=True, onerror=_refuse):
        real = os.path.realpath(here)
        if real in seen:  # a link to a folder above or beside: its files were met already
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = Path(here).relative_to(folder)
        yield from (inside / name for name in names if not name.startswith("."))


def _refuse(error: OSError) -> None:
    raise UnreadableFile(f"{error.filename}: cannot list the folder ({error.strerror})") from error


def _empty(folder: Path, pickles: list[Path]) -> str:
    message = f"{folder}: no {SUFFIX} file in this folder or below"
    if not pickles:
        return f"{message}; put LoRA files there or give another folder"
    return (
        f"{message}, only {len(pickles)} of a kind that can run code ({min(pickles)}), "
        f"refused unread; convert them to {SUFFIX}"
    )
