"""What the library commands share: a folder looked at with progress, and what is told of its files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from lorafusion.cli import show
from lorafusion.cli.columns import one_line
from lorafusion.errors import UnknownName, UnreadableFile
from lorafusion.registry import unknown

Problems: TypeAlias = dict[str, list[dict[str, str]]]
"""What stands in the way ("skipped", "sidecars", "settings") -> name, path and reason of each."""

NAMED = 5
"""Names in one line; the others are counted."""

if TYPE_CHECKING:
    from lorafusion.library.listing import Listed, Listing
    from lorafusion.library.survey import Progress


def look(folder: Path | None, workers: int | None = None) -> Listing:
    """The files of a folder, or of pocket's own; new and changed ones are read, with progress.

    Raises:
        UnreadableFile, EmptyLibrary: as `survey`.
        InputError: the settings file cannot be read.
    """
    from lorafusion import pocket
    from lorafusion.library.listing import listing
    from lorafusion.library.survey import survey
    from lorafusion.library.workers import suitable

    where = pocket.loras() if folder is None else folder.expanduser()
    with _bar("Reading headers") as progress:
        seen = survey(where, workers=workers or suitable(), progress=progress)
    return listing(seen)


def named(files: Listing, name: str) -> Listed:
    """The file of this name.

    Raises:
        UnknownName: there is none.
        UnreadableFile: it cannot be used; the message says why.
    """
    by_name = {file.name: file for file in files.files}
    if name not in by_name:
        raise UnknownName(f"{files.survey.folder}: {unknown('LoRA', name, list(by_name))}")
    file = by_name[name]
    if file.reading.problem:
        raise UnreadableFile(f"{file.path}: {file.reading.problem}")
    return file


def describe(file: Listed, sha256: str | None) -> dict[str, Any]:
    """A file as JSON. Its sha256 is null until something has asked for it."""
    return {
        "name": file.name,
        "path": file.location,
        "category": file.card.category,
        "text": file.card.text,
        "text_from": file.text_from,
        "triggers": list(file.card.triggers),
        "strength": file.card.strength,
        "preview": str(file.preview) if file.preview else None,
        "format": file.reading.form,
        "family": file.reading.family,
        "rank": list(file.reading.ranks),
        "sha256": sha256,
    }


def problems(files: Listing, others: Mapping[str, str] | None = None) -> Problems:
    """What was skipped, which sidecars could not be read, and settings that fit no file, as JSON.

    Args:
        files: of the folder.
        others: name -> why it was left out, of files that can be read but do not fit.
    """
    complaints = [file for file in files.files if file.reading.complaint]
    reasons = {file.name: file.reading.problem for file in files.skipped} | dict(others or {})
    return {
        "skipped": [_why(file, reasons[file.name]) for file in files.files if file.name in reasons],
        "sidecars": [_why(file, file.reading.complaint) for file in complaints],
        "settings": [{"name": name, "reason": "no file has this name"} for name in files.strays],
    }


def warn(found: Problems) -> None:
    """Say on stderr what was skipped and why, a line for each reason."""
    titles = {"skipped": "skipped", "sidecars": "sidecar left out", "settings": "lorafusion.toml"}
    if not any(found.values()):
        return
    out = show.console(error=True)
    for kind, entries in found.items():
        names: dict[str, list[str]] = {}
        for entry in entries:
            names.setdefault(entry["reason"], []).append(entry["name"])
        for reason, alike in names.items():
            more = f" and {len(alike) - NAMED} more" if len(alike) > NAMED else ""
            told = f"{titles[kind]}: {', '.join(alike[:NAMED])}{more}: {reason}"
            out.print(one_line(told), soft_wrap=True)


def _why(file: Listed, reason: str) -> dict[str, str]:
    return {"name": file.name, "path": file.location, "reason": reason}


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    """A progress bar on stderr, which appears with the first file and only on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _most: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    out = show.console(error=True)
    parts = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*parts, console=out, transient=True) as drawn:
        task = drawn.add_task(title, visible=False)
        yield lambda done, most: drawn.update(task, completed=done, total=most, visible=True)
