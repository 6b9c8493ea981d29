"""JSON into frozen dataclasses, or a one-line error: nothing is guessed, filled in or dropped."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from lorafusion.errors import UnreadableFile

T = TypeVar("T")

Older = Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]
"""Format version -> what turns an object of that version into one of the present version."""


def build(kind: type[T], text: str, where: str, version: int, older: Older) -> T:
    """Read JSON text into dataclass `kind`, whose field ``format`` must be `version` or one of `older`.

    Raises:
        UnreadableFile: not a JSON object, an unknown format version, or a field that is missing,
            unknown or of the wrong type; the message starts with `where`.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise UnreadableFile(
            f"{where}: not JSON ({error}); give the text as it was saved"
        ) from None
    if not isinstance(data, dict):
        raise UnreadableFile(f"{where}: holds a {type(data).__name__}, expected a JSON object")
    seen = data.get("format", version)
    if isinstance(seen, int) and seen in older:
        data = older[seen](data)
    elif seen != version:
        raise UnreadableFile(
            f"{where}: format version {seen!r}, expected {version}; "
            "use the lorafusion version that the record names"
        )
    return _object(kind, data, where)


def _object(kind: type[T], data: Mapping[str, object], where: str) -> T:
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # a dataclass, by contract
    missing = [name for name in names if name not in data]
    unknown = [name for name in data if name not in names]
    if missing or unknown:
        said = [f"missing {', '.join(missing)}"] * bool(missing)
        said += [f"unknown {', '.join(unknown)}"] * bool(unknown)
        raise UnreadableFile(
            f"{where}: {' and '.join(said)}; expected exactly the fields of {kind.__name__}"
        )
    hints = get_type_hints(kind)
    return kind(**{name: _value(hints[name], data[name], f"{where}: {name}") for name in names})


def _value(hint: Any, value: object, where: str) -> object:
    """`value` as `hint` wants it: lists become tuples, objects become dataclasses."""
    origin = get_origin(hint)
    if origin is tuple and isinstance(value, list):
        inner = get_args(hint)[0]
        return tuple(_value(inner, item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is Mapping and isinstance(value, dict):
        inner = get_args(hint)[1]
        return {key: _value(inner, item, f"{where}.{key}") for key, item in value.items()}
    if is_dataclass(hint) and isinstance(value, dict):
        return _object(hint, value, where)  # type: ignore[arg-type]  # is_dataclass says also "instance"
    if hint is object or _is(hint, value):
        return value
    name = getattr(hint, "__name__", str(hint))
    raise UnreadableFile(f"{where} is {value!r}, expected {name}")


def _is(hint: Any, value: object) -> bool:
    """Whether a scalar fits; a whole number is a float too, but true is not a number."""
    if isinstance(hint, UnionType):
        return any(_is(part, value) for part in get_args(hint))
    if hint is NoneType:
        return value is None
    if isinstance(value, bool):
        return hint is bool
    return isinstance(
        value, (int, float) if hint is float else hint if isinstance(hint, type) else ()
    )
