"""``lorafusion library scan``: read what is new in a folder of LoRAs."""

from __future__ import annotations

from typing import Annotated

import typer

from lorafusion.cli import options, shelf, show

Workers = Annotated[
    int | None,
    typer.Option(
        help="Processes that read, at least 1; one for each processor when left out.",
        show_default=False,
        min=1,
    ),
]


def scan(
    library: options.Library = None, workers: Workers = None, json: options.Json = False
) -> None:
    """Read the headers of files that are new or changed, and say which files cannot be used."""
    files = shelf.look(library, workers)
    seen = files.survey
    counts = {
        "files": len(files.files),
        "usable": len(files.usable),
        "read": seen.read,
        "unchanged": seen.unchanged,
        "gone": seen.gone,
    }
    if json:
        show.document({"folder": str(seen.folder)} | counts | shelf.problems(files))
        return
    shelf.warn(shelf.problems(files))
    show.line(
        f"{counts['files']} files, {counts['usable']} usable: {seen.read} read, "
        f"{seen.unchanged} unchanged, {seen.gone} gone since the last scan"
    )
