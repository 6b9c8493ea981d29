"""Ratings: a CSV file of images, what people said of them and what metrics said.

    image,set,method,human1_composition,human2_composition,clipscore,judge_composition

One row an image. ``human<number>_<axis>`` is what one rater said on one axis; `set` names the prompt
that images share; every other column of numbers is a metric. A metric whose name ends in ``_<axis>``
is about that axis; any other is compared with all of them. An empty cell is a missing value.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from lorafusion.errors import UnreadableFile
from lorafusion.evaluation.statistics.correlation import Values

HUMAN = re.compile(r"human(\d+)_(\w+)")
DESCRIBING = frozenset({"image", "set", "prompt", "style", "n_loras", "method", "seed", "budget"})
"""Columns that say what an image is, also where they hold numbers."""


@dataclass(frozen=True, eq=False)
class Ratings:
    """The columns of a file; all arrays have one entry for each of n images.

    Attributes:
        sets: number of each image's set, from 0 in the order of the file.
        methods: name of each image's method; "" where the file has no such column.
        people: axis -> [raters, n] ratings, NaN where one is missing.
        metrics: name -> [n] values, NaN where one is missing.
        ignored: columns that are neither ratings, numbers nor descriptions.
    """

    sets: Int[np.ndarray, " n"]
    methods: tuple[str, ...]
    people: Mapping[str, Float[np.ndarray, "raters n"]]
    metrics: Mapping[str, Values]
    ignored: tuple[str, ...]

    def axis_of(self, metric: str) -> str:
        """The axis that a metric is about by its name; "" for all of them."""
        return next((axis for axis in self.people if metric.endswith(f"_{axis}")), "")


def read_ratings(path: Path) -> Ratings:
    """Read a file of ratings.

    Raises:
        UnreadableFile: missing, not CSV, a row of another length, no `set`, rating or metric
            column, or a rating that is not a number.
    """
    header, rows = _table(path)
    if "set" not in header:
        raise UnreadableFile(
            f"{path}: has no column 'set' (columns: {', '.join(header)}); it must say which images "
            "show the same prompt"
        )
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    names = list(dict.fromkeys(columns["set"]))
    people = _people(path, columns)
    metrics, ignored = _metrics(path, columns)
    return Ratings(
        sets=np.array([names.index(name) for name in columns["set"]]),
        methods=columns.get("method", ("",) * len(rows)),
        people=people,
        metrics=metrics,
        ignored=ignored,
    )


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = list(csv.reader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableFile(f"{path}: cannot be read as CSV ({error})") from None
    except ValueError:
        raise UnreadableFile(f"{path}: is empty; expected a line of column names") from None
    rows = [row for row in rows if row]
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise UnreadableFile(
                f"{path}: row {number} has {len(row)} cells, expected {len(header)} as the header"
            )
    if not rows or len(set(header)) != len(header):
        what = "no row below the header" if not rows else "two columns of the same name"
        raise UnreadableFile(f"{path}: has {what}; give one row an image and unique names")
    return header, rows


def _people(
    path: Path, columns: Mapping[str, Sequence[str]]
) -> dict[str, Float[np.ndarray, "raters n"]]:
    said: dict[str, dict[int, Values]] = {}
    for name, cells in columns.items():
        if match := HUMAN.fullmatch(name):
            numbers = [_number(cell) for cell in cells]
            wrong = [cell for cell, number in zip(cells, numbers, strict=True) if number is None]
            if wrong:
                raise UnreadableFile(f"{path}: column {name!r} holds {wrong[0]!r}, not a number")
            said.setdefault(match[2], {})[int(match[1])] = np.array(numbers, dtype=float)
    if not said:
        raise UnreadableFile(
            f"{path}: has no column of ratings; name them human1_composition, human2_composition"
        )
    return {axis: np.stack([by[k] for k in sorted(by)]) for axis, by in said.items()}


def _metrics(
    path: Path, columns: Mapping[str, Sequence[str]]
) -> tuple[dict[str, Values], tuple[str, ...]]:
    metrics, ignored = {}, []
    for name, cells in columns.items():
        if name in DESCRIBING or HUMAN.fullmatch(name):
            continue
        numbers = [_number(cell) for cell in cells]
        known = [number for number in numbers if number is not None]
        if not known or all(math.isnan(number) for number in known):
            ignored.append(name)
        elif len(known) < len(numbers):
            wrong = cells[numbers.index(None)]
            raise UnreadableFile(f"{path}: column {name!r} holds {wrong!r} among numbers")
        else:
            metrics[name] = np.array(known)
    if not metrics:
        raise UnreadableFile(f"{path}: has no column of a metric; add one with a number an image")
    return metrics, tuple(ignored)


def _number(cell: str) -> float | None:
    """The finite number in a cell, NaN for an empty one, None for anything else."""
    if not cell.strip():
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
