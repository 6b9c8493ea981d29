"""Tasks: what a rater is shown, in an order and on sides of their own, without a word of the method."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lorafusion.errors import BadOption
from lorafusion.evaluation.judge.compare import pairs_of
from lorafusion.evaluation.runner.cells import units
from lorafusion.evaluation.runner.config import Bench

AXES = ("composition", "image")
"""What raters are asked about: are all elements there, and is the image good by itself."""
LIKERT = ("1", "2", "3", "4", "5")
SIDES = ("left", "right", "tie")


@dataclass(frozen=True)
class Item:
    """One image to rate from 1 to 5, or two to choose between.

    Attributes:
        name: unique among the items.
        prompt: what was asked for.
        elements: what must be seen.
        cells: names of the images; two for a choice.
        methods: of these images; never sent to the page.
        paths: their files.
    """

    name: str
    prompt: str
    elements: tuple[str, ...]
    cells: tuple[str, ...]
    methods: tuple[str, ...]
    paths: tuple[Path, ...]

    @property
    def answers(self) -> tuple[str, ...]:
        """What may be said on an axis."""
        return SIDES if len(self.cells) == 2 else LIKERT

    def swapped(self, rater: str) -> bool:
        """Whether this rater sees the second image on the left."""
        return len(self.cells) == 2 and _digest(f"side\n{rater}\n{self.name}")[0] % 2 == 1

    def shown(self, rater: str) -> list[str]:
        """Names of the images from left to right."""
        return list(self.cells[::-1] if self.swapped(rater) else self.cells)


def items(bench: Bench, pair: Sequence[str] = (), arms: Sequence[str] = ()) -> list[Item]:
    """What there is to rate: pairs of two arms, or single images.

    Args:
        bench: the run; images that are not there yet are left out.
        pair: two arms to choose between; single images are rated when empty.
        arms: whose single images are rated; of all but "alone" when empty.

    Raises:
        UnknownName, BadOption: as `pairs_of`; or there is nothing to rate.
    """
    if pair:
        return [
            Item(
                name=f"pair/{pair[0]}/{pair[1]}/{one.name}",
                prompt=one.combination.prompt,
                elements=tuple(element.title for element in one.combination.elements),
                cells=tuple(_cell(bench, path) for path in one.paths),
                methods=(pair[0], pair[1]),
                paths=one.paths,
            )
            for one in pairs_of(bench, pair[0], pair[1])
        ]
    found = [
        Item(
            name=f"one/{cell.name}",
            prompt=cell.combination.prompt,
            elements=tuple(element.title for element in cell.combination.elements),
            cells=(cell.name,),
            methods=(unit.arm.name,),
            paths=(cell.path(bench.out),),
        )
        for unit in units(bench)
        for cell in unit.cells
        if (unit.arm.name in arms if arms else unit.arm.method != "alone")
        and cell.path(bench.out).is_file()
    ]
    if not found:
        raise BadOption(f"{bench.out}: has no image to rate; run it first")
    return found


def in_order(found: Sequence[Item], rater: str) -> list[Item]:
    """The items in this rater's own order, the same every time."""
    return sorted(found, key=lambda item: _digest(f"order\n{rater}\n{item.name}"))


def checked(item: Item, answers: Mapping[str, str]) -> dict[str, str]:
    """One allowed answer for each axis.

    Raises:
        BadOption: an axis is missing or unknown, or an answer is not allowed.
    """
    if set(answers) != set(AXES) or any(said not in item.answers for said in answers.values()):
        raise BadOption(
            f"{item.name}: answers are {dict(answers)!r}, expected one of "
            f"{', '.join(item.answers)} for each of {', '.join(AXES)}"
        )
    return dict(answers)


def _cell(bench: Bench, path: Path) -> str:
    return path.relative_to(bench.out / "images").with_suffix("").as_posix()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
