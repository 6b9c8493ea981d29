"""One lazy registry for everything that has a name: methods, formats, routers, encoders.

A target is written ``"module:attribute"`` and imported when it is first asked for, so that listing names
costs nothing. Third parties join through an entry-point group of the same name as the registry's.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Generic, TypeVar, cast

from lorafusion.errors import UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """Names to lazily imported objects.

    Args:
        kind: what the names are, in the singular, for messages ("method").
        group: entry-point group through which other packages add theirs ("lorafusion.methods").
        targets: built-in name -> ``"module:attribute"``.
    """

    def __init__(self, kind: str, group: str, targets: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = group
        self._targets = dict(targets)
        self._plugins: dict[str, metadata.EntryPoint] | None = None

    def __iter__(self) -> Iterator[str]:
        """Names: the built-in ones in their order, then those of other packages."""
        yield from self._targets
        yield from (name for name in self._found() if name not in self._targets)

    def __contains__(self, name: object) -> bool:
        return name in self._targets or name in self._found()

    def __getitem__(self, name: str) -> T:
        """Import and return what is registered as `name`.

        Raises:
            UnknownName: nothing has this name; the message offers the nearest one.
        """
        if name in self._targets:
            module, _, attribute = self._targets[name].partition(":")
            return cast("T", getattr(importlib.import_module(module), attribute))
        if name in self._found():
            return cast("T", self._found()[name].load())
        raise UnknownName(unknown(self.kind, name, list(self)))

    def _found(self) -> dict[str, metadata.EntryPoint]:
        if self._plugins is None:
            self._plugins = {point.name: point for point in metadata.entry_points(group=self.group)}
        return self._plugins


MOST = 40
"""Names that a message lists at most; a folder may have thousands."""
NEAREST = 3
"""Names that it offers as what was perhaps meant, where it does not list them all."""


def unknown(kind: str, name: str, known: list[str]) -> str:
    """The message for a name that does not exist: what was perhaps meant, and what there is."""
    spelled = {each.casefold(): each for each in reversed(known)}
    near = difflib.get_close_matches(
        name.casefold(), list(spelled), n=NEAREST if len(known) > MOST else 1
    )
    names = [repr(spelled[each]) for each in near]
    meant = f" Did you mean {' or '.join(names)}?" if names else ""
    more = f" and {len(known) - MOST} more" if len(known) > MOST else ""
    return f"Unknown {kind} {name!r}.{meant} Known: {', '.join(known[:MOST])}{more}."
