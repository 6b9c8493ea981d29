"""``lorafusion library doctor``: what is wrong, odd or in conflict in a folder of LoRAs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorafusion.cli import conflict_table, examine, options, shelf, show
from lorafusion.cli.columns import columns, one_line
from lorafusion.errors import BadOption

if TYPE_CHECKING:
    from lorafusion.library.listing import Listed


def doctor(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Names of LoRAs to read whole; all headers when left out."),
    ] = None,
    conflicts: Annotated[
        bool,
        typer.Option("--conflicts", help="Compare the named LoRAs, at least two, pair by pair."),
    ] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read all LoRAs whole, for the size of their effect.")
    ] = False,
    library: options.Library = None,
    base: Annotated[
        str | None,
        typer.Option(
            help="Base model to measure effects on, as 'generate' takes it, or pocket.",
            metavar="MODEL",
            show_default=False,
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Say for each file what was read and what is odd; find duplicates and words that clash.

    With --base: the size of an effect relative to the weights that it changes.
    With --conflicts: how far LoRAs want the same weights, in which directions, and how strongly.
    """
    if base is not None and not (names or deep):
        raise BadOption("--base measures effects; name LoRAs or add --deep")
    if conflicts and len(set(names or [])) < 2:
        raise BadOption("--conflicts compares LoRAs; name at least two")
    files = shelf.look(library)
    wanted = [shelf.named(files, name) for name in dict.fromkeys(names or [])]
    chosen = tuple(wanted) or files.usable
    found: dict[str, Any] = {"folder": str(files.survey.folder)}
    found |= examine.files(chosen, whole=bool(wanted) or deep, pipe=_opened(base))
    found |= examine.together(chosen, files.usable)
    if conflicts:
        with show.busy("Comparing"):
            found |= conflict_table.compared([examine.read(file) for file in wanted])
    if not wanted:
        found |= shelf.problems(files)
    if json:
        show.document(found)
        return
    _told(found, chosen)
    if not wanted:
        shelf.warn(shelf.problems(files))


def _opened(base: str | None) -> Any:
    """The base model, where one is asked for."""
    from lorafusion.cli import setup

    if base is None:
        return None
    with show.busy("Loading the base model"):
        return setup.open_base(base, "auto", "cpu")


def _told(found: dict[str, Any], chosen: tuple[Listed, ...]) -> None:
    titles = ("LoRA", "format", "family", "rank", "weights", "effect", "notes")
    columns(titles, [_row(checked) for checked in found["loras"]])
    if not chosen:
        show.line("no LoRA that can be used")
    for group in found["duplicates"]:
        show.line(one_line(f"the same tensors: {', '.join(group)}"))
    conflict_table.clashes(found["triggers"])
    if "conflicts" in found:
        conflict_table.tell({**found, "clashes": {}})


def _row(checked: dict[str, Any]) -> tuple[str, ...]:
    size = checked["effect"]
    return (
        checked["name"],
        checked["format"],
        checked["family"],
        ", ".join(map(str, checked["rank"])),
        str(checked["weights"]),
        "" if size is None else _size(size),
        "; ".join(checked["notes"]),
    )


def _size(size: dict[str, Any]) -> str:
    share = size["relative"]
    return f"{size['norm']:.4g}" + (f" ({share:.2%})" if share is not None else "")
