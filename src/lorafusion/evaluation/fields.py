"""Fields of TOML files: read completely or refused, in one line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lorafusion.errors import BadOption, UnknownName, UnreadableFile
from lorafusion.registry import unknown

Kinds = Mapping[str, type | tuple[type, ...]]
"""Field -> the types that its value may have."""


def toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        UnreadableFile: it is missing or is not TOML.
    """
    if not path.is_file():
        raise UnreadableFile(f"{path}: no such file; give a TOML file")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        told = " ".join(str(error).split())
        raise UnreadableFile(f"{path}: cannot be read as TOML ({told})") from None


def checked(
    where: str, table: object, kinds: Kinds, needed: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A table with known fields of known types only.

    Args:
        where: starts the message of an error.
        table: as `tomllib` reads it.
        kinds: what may be in it.
        needed: fields that must be there.

    Raises:
        UnknownName: a field that is not in `kinds`; the message offers the nearest.
        BadOption: a missing field, a value of another type, or no table at all.
    """
    if not isinstance(table, dict):
        raise BadOption(f"{where} is {table!r}; expected a table of fields")
    for name, value in table.items():
        if name not in kinds:
            raise UnknownName(f"{where}: {unknown('field', name, list(kinds))}")
        if not _is(value, kinds[name]):
            raise BadOption(f"{where}: {name} is {value!r}, expected {_said(kinds[name])}")
    for name in needed:
        if name not in table:
            raise BadOption(f"{where}: {name} is missing; add it")
    return table


def listed(where: str, values: object, kind: type | tuple[type, ...]) -> tuple[Any, ...]:
    """A list whose items are all of one type.

    Raises:
        BadOption: an item of another type, or no list at all.
    """
    if not isinstance(values, list) or not all(_is(value, kind) for value in values):
        raise BadOption(f"{where} is {values!r}, expected a list of {_said(kind)}")
    return tuple(values)


def _is(value: object, kind: type | tuple[type, ...]) -> bool:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if isinstance(value, bool):  # which is an int to Python, but not to people
        return bool in kinds
    return isinstance(value, kinds) or (float in kinds and isinstance(value, int))


def _said(kind: type | tuple[type, ...]) -> str:
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    names |= {dict: "a table", list: "a list"}
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join(names.get(one, one.__name__) for one in kinds)
