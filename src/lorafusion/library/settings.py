"""Settings: what the user says about the LoRAs, in ``lorafusion.toml`` inside their folder.

    [lora.robot]
    text = "a silver robot"
    category = "character"
    triggers = ["robot"]
    strength = 0.8
    content = "9f86d081884c7d659a2feaa0c55ad015"

`content` is written by ``library set``: by it the words find the file again when it has another name
(`following`). A name with a dot or a slash is quoted: ``[lora."style/robot"]``.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorafusion.errors import BadOption, UnknownName, UnreadableFile
from lorafusion.library.card import Card
from lorafusion.registry import unknown

FILE = "lorafusion.toml"
MOST = 100.0
"""A strength beyond this is a slip of the hand."""

FIELDS = ("text", "category", "triggers", "strength")
CONTENT = "content"


@dataclass(frozen=True)
class Said:
    """What the user says about one LoRA.

    Attributes:
        card: the words.
        content: of the file that they were said about (`Reading.sample`), or "".
    """

    card: Card
    content: str = ""


def read_settings(folder: Path) -> dict[str, Said]:
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
    return {name: _said(path, name, fields) for name, fields in loras.items()}


def _said(path: Path, name: str, fields: Any) -> Said:
    where = f"{path}: [lora.{name}]"
    if not isinstance(fields, dict):
        raise BadOption(f"{where} is not a table; write [lora.{name}] above its fields")
    for field in fields:
        if field not in (*FIELDS, CONTENT):
            raise UnknownName(f"{where}: {unknown('field', field, list(FIELDS))}")
    card = Card(
        text=_text(where, "text", fields.get("text", "")),
        category=_text(where, "category", fields.get("category", "")),
        triggers=_texts(where, "triggers", fields.get("triggers", [])),
        strength=_number(where, "strength", fields.get("strength")),
    )
    return Said(card, _text(where, CONTENT, fields.get(CONTENT, "")))


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
