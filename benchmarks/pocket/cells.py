"""Cells: pieces of work in files of one folder, which several processes take in turns and any may resume."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.files import write_whole

_LOG = logging.getLogger(__name__)

Cell = dict[str, Any]


def fill(folder: Path, keys: Sequence[str], make: Callable[[str], Cell]) -> dict[str, Cell] | None:
    """Do what nobody else has done or is doing.

    Args:
        folder: one file per cell; a cell that has one is not made again.
        keys: of all cells.
        make: the content of one cell.

    Returns:
        All cells in the order of the keys, or None where living processes still work on some.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for place, key in enumerate(keys):
        path = folder / f"{key}.json"
        if not path.is_file() and _claimed(path.with_suffix(".claim")):
            if not path.is_file():  # another process may have finished it before the claim
                write_whole(path, json.dumps(make(key)) + "\n")
                _LOG.info("%d of %d: %s", place + 1, len(keys), key)
            path.with_suffix(".claim").unlink(missing_ok=True)
    left = [key for key in keys if not (folder / f"{key}.json").is_file()]
    if left:
        _LOG.info(
            "%d cells are being made by other processes, the last of which goes on", len(left)
        )
        return None
    return {key: json.loads((folder / f"{key}.json").read_text(encoding="utf-8")) for key in keys}


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
