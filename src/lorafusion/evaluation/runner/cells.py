"""Cells: the images that a run consists of, and where each is kept.

    OUT/images/<set>/<arm>/<seed>.png           one image with its Record
    OUT/images/<set>/<arm>/<seed>-<lora>.png    of the arm "alone", one for each LoRA of the set

An image is done when its file is there, for files appear whole. Nothing else is kept about progress.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from lorafusion.evaluation.runner.arms import Arm
from lorafusion.evaluation.runner.config import Bench
from lorafusion.evaluation.testbeds import Combination


@dataclass(frozen=True)
class Cell:
    """One image.

    Attributes:
        seed: its number, from 0; `Testbed.seed` makes the generator's of it.
        variant: the LoRA that acts alone; "" otherwise.
    """

    combination: Combination
    arm: Arm
    seed: int
    variant: str = ""

    @property
    def name(self) -> str:
        """Unique in its run."""
        return f"{self.combination.name}/{self.arm.name}/{self._stem}"

    @property
    def _stem(self) -> str:
        return f"{self.seed}-{self.variant}" if self.variant else str(self.seed)

    def path(self, out: Path) -> Path:
        """Its file."""
        return unit_folder(out, self.combination, self.arm) / f"{self._stem}.png"


@dataclass(frozen=True)
class Unit:
    """The cells of one set and arm: what metrics look at together."""

    combination: Combination
    arm: Arm
    cells: tuple[Cell, ...]

    def folder(self, out: Path) -> Path:
        """Where its images are."""
        return unit_folder(out, self.combination, self.arm)

    def missing(self, out: Path) -> list[Cell]:
        """Those that are still to be made."""
        return [cell for cell in self.cells if not cell.path(out).is_file()]


@dataclass(frozen=True)
class Block:
    """All cells of one set: what one process works on at a time."""

    combination: Combination
    cells: tuple[Cell, ...]

    def folder(self, out: Path) -> Path:
        """Where its images are."""
        return set_folder(out, self.combination)

    def missing(self, out: Path) -> list[Cell]:
        """Those that are still to be made."""
        return [cell for cell in self.cells if not cell.path(out).is_file()]


def set_folder(out: Path, combination: Combination) -> Path:
    """The folder of a set's images."""
    return out / "images" / combination.name


def unit_folder(out: Path, combination: Combination, arm: Arm) -> Path:
    """The folder of a set's images by one arm."""
    return set_folder(out, combination) / arm.name


def blocks(bench: Bench) -> Iterator[Block]:
    """All of a run: set by set, so that a run that is stopped has compared all arms on some sets."""
    for combination, own in groupby(units(bench), key=lambda unit: unit.combination):
        yield Block(combination, tuple(cell for unit in own for cell in unit.cells))


def units(bench: Bench) -> Iterator[Unit]:
    """All of a run, set by set. Sets without an oracle file have no cell of that arm."""
    kept = {arm.name: _sets(bench, arm) for arm in bench.arms}
    for combination in bench.bed.combinations:
        for arm in bench.arms:
            if combination.name not in kept[arm.name]:
                continue
            if arm.method == "oracle" and oracle_file(bench, combination) is None:
                continue
            variants = [""]
            if arm.method == "alone":
                variants = [element.name for element in combination.elements]
            cells = tuple(
                Cell(combination, arm, seed, variant)
                for seed in range(bench.seeds)
                for variant in variants
            )
            yield Unit(combination, arm, cells)


def _sets(bench: Bench, arm: Arm) -> frozenset[str]:
    """Names of the sets that an arm is made on."""
    bed = bench.bed
    if "sets" in arm.changes:
        bed = bed.drawn(bed.share(min(arm.changes["sets"], len(bed.combinations))))
    return frozenset(one.name for one in bed.combinations)


def oracle_file(bench: Bench, combination: Combination) -> Path | None:
    """The LoRA trained on this very combination, where there is one."""
    if bench.oracles is None:
        return None
    path = bench.oracles / f"{combination.name}.safetensors"
    return path if path.is_file() else None
