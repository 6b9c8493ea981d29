"""Compare: the pairs of images that two arms of a run have in common."""

from __future__ import annotations

from lorafusion.errors import BadOption, UnknownName
from lorafusion.evaluation.judge.protocol import Pair
from lorafusion.evaluation.runner.cells import Cell, units
from lorafusion.evaluation.runner.config import Bench
from lorafusion.registry import unknown


def pairs_of(bench: Bench, first: str, second: str) -> list[Pair]:
    """Every set and seed of which both arms have an image.

    Raises:
        UnknownName: the run has no such arm.
        BadOption: an arm with itself, one with several images a seed, or no image in common.
    """
    names = [arm.name for arm in bench.arms if arm.method != "alone"]
    for name in (first, second):
        if name not in names:
            raise UnknownName(unknown("method of this run", name, names))
    if first == second:
        raise BadOption(f"{first!r} cannot be compared with itself; name two methods")
    cells: dict[str, dict[tuple[str, int], Cell]] = {first: {}, second: {}}
    for unit in units(bench):
        for cell in unit.cells if unit.arm.name in cells else ():
            if cell.path(bench.out).is_file():
                cells[unit.arm.name][unit.combination.name, cell.seed] = cell
    common = [key for key in cells[first] if key in cells[second]]
    if not common:
        raise BadOption(
            f"{bench.out}: {first!r} and {second!r} have no image in common; run it first"
        )
    return [
        Pair(
            f"{name}/{seed}",
            cells[first][name, seed].combination,
            (cells[first][name, seed].path(bench.out), cells[second][name, seed].path(bench.out)),
        )
        for name, seed in common
    ]
