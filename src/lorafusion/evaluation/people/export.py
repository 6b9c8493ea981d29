"""Export: what raters said as CSV, in the form that `read_ratings` takes, and choices one by one."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from lorafusion.errors import BadOption
from lorafusion.evaluation.people.store import Store
from lorafusion.evaluation.people.tasks import AXES


def ratings_csv(store: Store, values: Mapping[str, Mapping[str, float]]) -> str:
    """One row a rated image: set, method, each rater's marks, and what metrics say of it.

    Args:
        store: the answers; choices between two images are left to `choices_csv`.
        values: cell -> measure -> value.

    Raises:
        BadOption: no image was rated.
    """
    said = {
        rater: {name.removeprefix("one/"): given for name, given in store.answers(rater).items()
                if name.startswith("one/")}
        for rater in store.raters
    }  # fmt: skip
    cells = sorted({cell for given in said.values() for cell in given})
    if not cells:
        raise BadOption(f"{store.folder}: no image was rated; let people rate with 'bench rate'")
    measures = sorted({name for cell in cells for name in values.get(cell, {})})
    people = [(k, rater, axis) for k, rater in enumerate(store.raters, 1) for axis in AXES]
    head = ["image", "set", "method", *(f"human{k}_{axis}" for k, _, axis in people), *measures]
    rows: list[list[object]] = []
    for cell in cells:
        name, method, _ = cell.split("/")
        given = [said[rater].get(cell, {}).get(axis, "") for _, rater, axis in people]
        rows.append(
            [cell, name, method, *given, *(values.get(cell, {}).get(m, "") for m in measures)]
        )
    return _text(head, rows)


def choices_csv(store: Store) -> str:
    """One row for each choice between two images and axis: who chose, between what, and which."""
    rows: list[list[object]] = []
    for rater in store.raters:
        for name, given in sorted(store.answers(rater).items()):
            if name.startswith("pair/"):
                _, first, second, combination, seed = name.split("/")
                rows += [
                    [rater, combination, seed, first, second, axis, given[axis]] for axis in AXES
                ]
    return _text(["rater", "set", "seed", "first", "second", "axis", "better"], rows)


def _text(head: list[str], rows: list[list[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()
