"""Identity: what a run's folder was started with, so that two different runs are never mixed."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

from lorafusion.errors import BadOption, NotWritable, UnreadableFile

SHORT = 60
"""Characters of a field with its two values that a message has room for."""


def agree(path: Path, content: object) -> None:
    """Write `content` as JSON where nothing is yet; otherwise insist that the same is there.

    Whoever comes first writes; the file appears whole, also when several start at once.

    Raises:
        BadOption: something else is there.
        NotWritable: the folder refuses the file.
    """
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n"
    beside = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        try:
            os.link(beside, path)
        except FileExistsError:
            _compare(path, json.loads(text))
    except OSError as error:
        raise NotWritable(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        beside.unlink(missing_ok=True)


def _compare(path: Path, ours: dict[str, object]) -> None:
    try:
        theirs = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise UnreadableFile(f"{path}: is not JSON; give the run another folder") from None
    if theirs == ours:
        return
    changed = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
    told = ", ".join(_told(key, theirs.get(key), ours.get(key)) for key in changed)
    raise BadOption(
        f"{path}: this folder belongs to a run with another {told}; give this one another 'out'"
    )


def _told(key: str, there: object, here: object) -> str:
    """The field; and both values, where they are short enough for a line."""
    values = f"{key} ({there!r} there, {here!r} here)"
    return values if len(values) <= SHORT else key
