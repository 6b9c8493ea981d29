"""Batches: which images of a set are made together, remembered so that a stopped run makes the same again.

In a batch products have other sizes, and here and there an 8-bit pixel differs by one from that of an
image made by itself. What is made together is therefore written down before it is made: a run that was
killed goes on in the very batches it began with, and ends with the pixels of one that was not.
"""

from __future__ import annotations

import json
from pathlib import Path

from lorafusion.errors import UnreadableFile
from lorafusion.evaluation.report.scores import write_text
from lorafusion.evaluation.runner.cells import Block, Cell

FILE = ".batches.json"


def batches(block: Block, out: Path, size: int) -> list[list[Cell]]:
    """The batches of a set that have an image which is not there yet.

    To be called under the set's claim.

    Args:
        block: the set's cells.
        out: folder of the run.
        size: images that are made together; 1 for each by itself, of which nothing is written down.

    Raises:
        UnreadableFile: what was written down cannot be read.
        NotWritable: the folder refuses the file.
    """
    missing = block.missing(out)
    if size == 1:
        return [[cell] for cell in missing]
    path = block.folder(out) / FILE
    begun = _read(path)
    by_name = {cell.name: cell for cell in block.cells}
    # A batch of another file, with arms that this one lacks, cannot be made again here.
    ours = [names for names in begun if set(names) <= by_name.keys()]
    known = {name for names in ours for name in names}
    free = [cell.name for cell in missing if cell.name not in known]
    new = [free[i : i + size] for i in range(0, len(free), size)]
    if new:
        write_text(path, json.dumps(begun + new) + "\n")
    wanted = {cell.name for cell in missing}
    return [[by_name[name] for name in names] for names in ours + new if wanted & set(names)]


def _read(path: Path) -> list[list[str]]:
    if not path.is_file():
        return []
    try:
        found: list[list[str]] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise UnreadableFile(f"{path}: is not JSON; delete the folder that it lies in") from None
    return found
