"""Held: a LoRA that is read once for a request, or is being read meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from lorafusion.lora import LoRA
from lorafusion.plan import Route, Source

_READERS = 4
"""Files that are read at the same time."""


@dataclass(frozen=True)
class Held:
    """A `Source` that does not read its file again.

    Attributes:
        source: where the LoRA is from.
        read: returns what was read, perhaps after waiting for it.
    """

    source: Source
    read: Callable[[], LoRA]

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
        return self.read().triggers

    @property
    def path(self) -> Path | None:
        """The source's file, where it is one."""
        return getattr(self.source, "path", None)

    def load(self) -> LoRA:
        """What was read.

        Raises:
            InputError: as the source's `load`.
        """
        return self.read()


def ahead(route: Route) -> Route:
    """The route with its chosen LoRAs being read from now on, side by side, by threads of their own.

    Whatever goes wrong is raised where a LoRA is loaded, as without.
    """
    return route.changed(
        lambda candidate: replace(
            candidate,
            source=Held(candidate.source, _readers().submit(candidate.source.load).result),
        )
    )


@cache
def _readers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_READERS, thread_name_prefix="lorafusion-read")
