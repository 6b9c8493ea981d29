"""Edit: write what the user says about a LoRA into ``lorafusion.toml``, and leave the rest alone.

The words belong to the user and so live in the user's folder, not in a cache: they survive a new
scan, a lost cache, and the folder's move to another machine. The file may hold comments and be
written by hand, so that lines are changed in place and the result is checked before it is written.
"""

from __future__ import annotations

import json
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from lorafusion.errors import BadOption, NotWritable
from lorafusion.library.listing import Listed, Listing
from lorafusion.library.settings import CONTENT, FILE, read_settings

Value: TypeAlias = str | float | tuple[str, ...] | None


def say(files: Listing, file: Listed, fields: Mapping[str, Value]) -> Path:
    """Set or remove the user's words about one file of a folder, whatever it was called before.

    Raises:
        InputError, BadOption, NotWritable: as `edit_settings`.
    """
    folder, owners = files.survey.folder, files.owners
    # Words under this name that are about another file get that file's name first.
    for other, name in owners.items():
        if name == file.name != other:
            edit_settings(folder, other, {}, was=name)
            break
    was = owners.get(file.name, "")
    return edit_settings(folder, file.name, fields, content=file.reading.sample, was=was)


def edit_settings(
    folder: Path, name: str, fields: Mapping[str, Value], *, content: str = "", was: str = ""
) -> Path:
    """Set or remove fields of one LoRA.

    Args:
        folder: of the library.
        name: of the LoRA.
        fields: of `settings.FIELDS`; None removes one.
        content: of the file, by which the words find it again under another name.
        was: the name under which the file holds words about it until now; they are kept.

    Returns:
        the settings file.

    Raises:
        InputError: the file cannot be read, or is written in a way that cannot be changed here.
        BadOption: a value that the file cannot hold.
        NotWritable: the folder refuses the file.
    """
    path = folder / FILE
    read_settings(folder)  # says in its own words what is wrong with it
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    fields = {**fields, **({CONTENT: content} if content else {})}
    lines = before.removesuffix("\n").split("\n") if before else []
    start, end = _section(lines, was or name)
    if was not in ("", name) and start != end:
        lines[start - 1] = f"[lora.{_text(name)}]"
    if start == end:
        lines += [*([""] if lines else []), f"[lora.{_text(name)}]"]
        start = end = len(lines)
    section = _edited(lines[start:end], fields)
    after = "\n".join([*lines[:start], *section, *lines[end:]]) + "\n"
    if _parsed(after) != _wanted(before, was or name, name, fields):
        raise BadOption(
            f"{path}: [lora.{name}] is written in a way that cannot be changed from here, or a "
            "value cannot be stored; edit the file by hand"
        )
    _replace(path, after)
    return path


def _section(lines: list[str], name: str) -> tuple[int, int]:
    """The lines between the header of a LoRA and the next header; equal where there is none."""
    for number, line in enumerate(lines):
        if line.lstrip().startswith("[") and _parsed(line) == {"lora": {name: {}}}:
            rest = range(number + 1, len(lines))
            ends = [at for at in rest if lines[at].lstrip().startswith("[") and _header(lines[at])]
            return number + 1, ends[0] if ends else len(lines)
    return 0, 0


def _edited(section: list[str], fields: Mapping[str, Value]) -> list[str]:
    """A section with these fields set, in place where they are there already."""
    edited = list(section)
    for field, value in fields.items():
        new = [] if value is None else [f"{field} = {_toml(value)}"]
        start, end = _assignment(edited, field)
        if start == end:  # after the last field, before empty lines
            start = end = max((i + 1 for i, line in enumerate(edited) if line.strip()), default=0)
        edited[start:end] = new
    return edited


def _assignment(section: list[str], field: str) -> tuple[int, int]:
    """The lines of one field's assignment, which may be several; equal where there is none."""
    for start, line in enumerate(section):
        if not line.lstrip().startswith((field, f'"{field}"', f"'{field}'")):
            continue
        for end in range(start + 1, len(section) + 1):
            parsed = _parsed("\n".join(section[start:end]))
            if parsed is not None:
                if list(parsed) == [field]:
                    return start, end
                break
    return 0, 0


def _wanted(before: str, was: str, name: str, fields: Mapping[str, Value]) -> dict[str, Any]:
    """What the file is to say."""
    content = tomllib.loads(before)
    loras = content.setdefault("lora", {})
    said = loras[name] = loras.pop(was, {})
    for field, value in fields.items():
        said.pop(field, None)
        if value is not None:
            said[field] = list(value) if isinstance(value, tuple) else value
    return content


def _header(line: str) -> bool:
    parsed = _parsed(line)
    return parsed is not None and bool(parsed)


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None


def _toml(value: str | float | tuple[str, ...]) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_text, value))}]"
    return repr(float(value))


def _text(value: str) -> str:
    """A basic string of TOML, whose escapes are those of JSON."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _replace(path: Path, content: str) -> None:
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            part.write_text(content, encoding="utf-8")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except UnicodeEncodeError as error:
        raise BadOption(f"{path}: a name or text that is not Unicode cannot be stored") from error
    except OSError as error:
        raise NotWritable(
            f"{path}: cannot be written ({error.strerror}); the folder must be writable"
        ) from error
