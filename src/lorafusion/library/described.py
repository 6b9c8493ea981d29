"""Described: a catalogue of LoRAs that are only described, without any file of theirs.

[[lora]]
name = "robot"
category = "character"
text = "a silver robot"
triggers = ["robot"]
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from lorafusion.errors import BadOption, RunError, UnknownName, UnreadableFile
from lorafusion.library.keys import Encoder, Remembered
from lorafusion.library.naming import words_of_name
from lorafusion.registry import unknown

if TYPE_CHECKING:
    from lorafusion.lora import LoRA

FIELDS = ("name", "category", "text", "triggers")


@dataclass(frozen=True)
class Described:
    """One LoRA of a catalogue; a `Source` that has nothing to load.

    Attributes:
        name: unique in its catalogue.
        category: character, clothing, object, background or style, or "".
        text: what it shows; the words of its name where the catalogue says nothing.
        triggers: words that call for it.
    """

    name: str
    category: str
    text: str
    triggers: tuple[str, ...]

    def load(self) -> LoRA:
        """Refuse: there is no file.

        Raises:
            RunError: always.
        """
        raise RunError(
            f"{self.name}: is a line of a catalogue, not a LoRA file; it can be routed only"
        )


class Catalogue:
    """The LoRAs that a TOML file describes, sorted by name; may stand where a `Library` does in `route`.

    Args:
        path: the file; one that names no LoRA is an empty catalogue.

    Raises:
        UnreadableFile: the file is missing or is not TOML.
        BadOption: a field of the wrong kind, a missing or repeated name.
        UnknownName: a field that catalogues do not have.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        found: dict[str, Described] = {}
        for number, table in enumerate(_tables(self.path), 1):
            one = _described(f"{self.path}: [[lora]] number {number}", table)
            if one.name in found:
                raise BadOption(
                    f"{self.path}: two LoRAs are called {one.name!r}; give each its own name"
                )
            found[one.name] = one
        self._entries = dict(sorted(found.items()))
        self._keys = Remembered()

    def __iter__(self) -> Iterator[Described]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def names(self) -> list[str]:
        """All names, sorted."""
        return list(self._entries)

    def keys(self, encoder: Encoder) -> Float[np.ndarray, "n d"]:
        """The vectors of the texts, in the order of iteration: [n, d]; not for an empty catalogue.

        Raises:
            RunError: the encoder answered with something else than one finite vector a text.
        """
        return self._keys.of((entry.text for entry in self), encoder)


def _tables(path: Path) -> list[Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UnreadableFile(
            f"{path}: cannot be read as TOML ({' '.join(str(error).split())})"
        ) from error
    for name in content:
        if name != "lora":
            raise UnknownName(f"{path}: {unknown('table', name, ['lora'])}")
    tables = content.get("lora", [])
    if not isinstance(tables, list):
        raise BadOption(f"{path}: 'lora' is not a list of tables; write [[lora]] above each")
    return tables


def _described(where: str, table: Any) -> Described:
    if not isinstance(table, dict):
        raise BadOption(f"{where} is {table!r}; write [[lora]] above its fields")
    for field in table:
        if field not in FIELDS:
            raise UnknownName(f"{where}: {unknown('field', field, list(FIELDS))}")
    name, category, text = (_text(where, field, table.get(field, "")) for field in FIELDS[:3])
    if not name:
        raise BadOption(f'{where} has no name; add name = "..."')
    triggers = table.get("triggers", [])
    if not isinstance(triggers, list):
        raise BadOption(f"{where}: triggers is {triggers!r}; it must be a list of texts")
    words = tuple(_text(where, "triggers", item) for item in triggers)
    return Described(name, category, text or words_of_name(name), words)


def _text(where: str, field: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadOption(f"{where}: {field} is {value!r}; it must be text in quotes")
    return value.strip()
