"""Settle: read the chosen LoRAs now, and leave out those that cannot be used."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lorafusion.errors import InputError
from lorafusion.library.reading import reason
from lorafusion.lora import LoRA
from lorafusion.pipelines.match import check
from lorafusion.plan import Candidate, Route, Source


@dataclass(frozen=True)
class Held:
    """A LoRA that has been read; a `Source` that does not read it again.

    Attributes:
        source: where it is from.
        lora: what was read.
    """

    source: Source
    lora: LoRA

    @property
    def name(self) -> str:
        """As the source has it."""
        return self.source.name

    @property
    def category(self) -> str:
        """As the source has it."""
        return self.source.category

    @property
    def triggers(self) -> tuple[str, ...]:
        """As the LoRA has them."""
        return self.lora.triggers

    @property
    def path(self) -> Path | None:
        """The source's file, where it is one."""
        return getattr(self.source, "path", None)

    def load(self) -> LoRA:
        """What was read."""
        return self.lora


def settled(
    route: Route, pipe: Any = None, *, insist: Collection[str] = ()
) -> tuple[Route, dict[str, str]]:
    """The route without those of its chosen LoRAs that are broken or do not fit.

    Headers tell most of that before anything is routed; a value that is not a number, or a weight that
    only this one model has in another shape, shows when the file is read.

    Args:
        route: its chosen LoRAs are read.
        pipe: what they are to fit; None to leave that open.
        insist: names that must not be left out.

    Returns:
        the route, with sources that hold what was read; and name -> reason of those left out.

    Raises:
        InputError: one of `insist`, or every chosen LoRA, cannot be used.
    """
    found: list[Candidate] = []
    broken: dict[str, InputError] = {}
    for candidate in route.candidates:
        try:
            found.append(candidate if candidate.left_out else _read(candidate, pipe))
        except InputError as error:
            if candidate.name in insist:
                raise
            broken[candidate.name] = error
            found.append(replace(candidate, weight=0.0, left_out=_why(candidate, error)))
    settled = replace(route, candidates=tuple(found))
    if broken and not settled.chosen:
        raise next(iter(broken.values()))
    return settled, {one.name: one.left_out for one in found if one.name in broken}


def _read(candidate: Candidate, pipe: Any) -> Candidate:
    lora = candidate.source.load()
    if pipe is not None:
        check(pipe, lora)
    return replace(candidate, source=Held(candidate.source, lora))


def _why(candidate: Candidate, error: InputError) -> str:
    return reason(Path(getattr(candidate.source, "path", "")), error)
