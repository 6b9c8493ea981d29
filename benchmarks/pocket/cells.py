"""Cells: pictures in files of one folder, which several processes draw in turns and any may go on drawing."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

_LOG = logging.getLogger(__name__)

Pictures: TypeAlias = NDArray[np.uint8]
Drawn: TypeAlias = dict[str, Pictures]
"""Label -> pictures [n, 64, 64, 3]."""


def fill(folder: Path, keys: Sequence[str], make: Callable[[str], Drawn]) -> bool:
    """Do what nobody else has done or is doing.

    Args:
        folder: one file per cell; a cell that has one is not made again.
        keys: of all cells.
        make: the pictures of one cell.

    Returns:
        Whether all cells are there; otherwise living processes still work on some.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for place, key in enumerate(keys):
        path = folder / f"{key}.npz"
        if not path.is_file() and _claimed(path.with_suffix(".claim")):
            if not path.is_file():  # another process may have finished it before the claim
                _write(path, make(key))
                _LOG.info("%d of %d: %s", place + 1, len(keys), key)
            path.with_suffix(".claim").unlink(missing_ok=True)
    left = [key for key in keys if not (folder / f"{key}.npz").is_file()]
    if left:
        _LOG.info(
            "%d cells are being made by other processes, the last of which goes on", len(left)
        )
    return not left


def load(folder: Path, key: str) -> Drawn:
    """The pictures of one cell."""
    with np.load(folder / f"{key}.npz") as file:  # refuses pickles
        return {label: file[label] for label in file.files}


def _write(path: Path, drawn: Drawn) -> None:
    draft = path.with_suffix(".part")
    with draft.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **drawn)
    draft.replace(path)


def _claimed(path: Path) -> bool:
    """Whether this process now has the right to make the cell; claims of the dead do not count."""
    for _ in range(2):
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(str(os.getpid()))
        except FileExistsError:
            if _alive(path):
                return False
            path.unlink(missing_ok=True)
        else:
            return True
    return False


def _alive(path: Path) -> bool:
    try:
        number = int(path.read_text(encoding="utf-8") or 0)
        if number:
            os.kill(number, 0)  # signal 0 only asks
    except (FileNotFoundError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
