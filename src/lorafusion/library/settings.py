"""Settings: what the user says about the LoRAs, in ``lorafusion.toml`` inside their folder.

    [lora.robot]
    text = "a silver robot"
    category = "character"
    triggers = ["robot"]
    strength = 0.8

A name with a dot or a slash is quoted: ``[lora."style/robot"]``.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from lorafusion.errors import BadOption, UnknownName, UnreadableFile
from lorafusion.library.card import Card
from lorafusion.registry import unknown

FILE = "lorafusion.toml"
MOST = 100.0
"""A strength beyond this is a slip of the hand."""

FIELDS = ("text", "category", "triggers", "strength")


def read_settings(folder: Path) -> dict[str, Card]:
    """Name of a LoRA -> what the user says about it; empty without a settings file.

    Raises:
        UnreadableFile: the file is not TOML.
        UnknownName: a field that settings do not have.
        BadOption: a field of the wrong kind.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UnreadableFile(f"{path}: cannot be read as TOML ({_line(error)})") from error
    for name in tables:
        if name != "lora":
            raise UnknownName(f"{path}: {unknown('table', name, ['lora'])}")
    loras = tables.get("lora", {})
    if not isinstance(loras, dict):
        raise BadOption(f"{path}: 'lora' is not a table; write [lora.<name>] above its fields")
    return {name: _card(path, name, fields) for name, fields in loras.items()}


def _card(path: Path, name: str, fields: Any) -> Card:
    where = f"{path}: [lora.{name}]"
    if not isinstance(fields, dict):
        raise BadOption(f"{where} is not a table; write [lora.{name}] above its fields")
    for field in fields:
        if field not in FIELDS:
            raise UnknownName(f"{where}: {unknown('field', field, list(FIELDS))}")
    return Card(
        text=_text(where, "text", fields.get("text", "")),
        category=_text(where, "category", fields.get("category", "")),
        triggers=_texts(where, "triggers", fields.get("triggers", [])),
        strength=_number(where, "strength", fields.get("strength")),
    )


def _text(where: str, field: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadOption(f"{where}: {field} is {value!r}; it must be text in quotes")
    return value.strip()


def _texts(where: str, field: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise BadOption(f"{where}: {field} is {value!r}; it must be a list of texts")
    return tuple(_text(where, field, item) for item in value)


def _number(where: str, field: str, value: object) -> float | None:
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not -MOST <= value <= MOST  # false for nan too
    ):
        raise BadOption(
            f"{where}: {field} is {value!r}; it must be a number such as 0.8, at most {MOST:g}"
        )
    return float(value)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
