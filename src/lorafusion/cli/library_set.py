"""``lorafusion library set``: your own words about a LoRA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorafusion.cli import options, shelf, show
from lorafusion.errors import BadOption, UnknownName
from lorafusion.registry import unknown

if TYPE_CHECKING:
    from lorafusion.library.edit import Value


def _option(text: str, *names: str) -> Any:
    return typer.Option(*names, help=text, show_default=False)


def set_words(
    name: Annotated[str, typer.Argument(help="Name of the LoRA, as 'library list' shows it.")],
    text: Annotated[
        str | None, _option("What it shows, in words; prompts are compared with this.")
    ] = None,
    category: Annotated[
        str | None, _option("Such as character, clothing, object, background or style.")
    ] = None,
    trigger: Annotated[
        list[str] | None,
        _option("A word that its training captions used; may be given several times."),
    ] = None,
    strength: Annotated[
        float | None, _option("How strongly you like it; 1 is as it was trained.")
    ] = None,
    clear: Annotated[
        list[str] | None,
        _option("Forget your words for text, category, triggers or strength; may be repeated."),
    ] = None,
    library: options.Library = None,
    json: options.Json = False,
) -> None:
    """Say what a LoRA is about, in your own words; they go before anything that a file says.

    They are kept in lorafusion.toml in the folder of the LoRAs, so that they move with it.
    """
    from lorafusion.library.edit import say

    fields = _fields(clear or [], text=text, category=category, strength=strength)
    if trigger is not None:
        fields["triggers"] = tuple(word.strip() for word in trigger)
    if not fields:
        raise BadOption("nothing to set; give --text, --category, --trigger, --strength or --clear")
    files = shelf.look(library)
    file = shelf.named(files, name)
    say(files, file, fields)
    changed = shelf.describe(shelf.named(shelf.look(library), name), None)
    if json:
        show.document(changed)
        return
    for field in fields:
        show.line(f"{name}: {field} is now {_written(changed[field])}")


def _fields(clear: list[str], **given: str | float | None) -> dict[str, Value]:
    """Field -> value, or None for one that is to be removed.

    Raises:
        UnknownName: a field to clear that does not exist.
        BadOption: a strength that settings do not take.
    """
    from lorafusion.library.settings import FIELDS, MOST

    for field in clear:
        if field not in FIELDS:
            raise UnknownName(f"--clear: {unknown('field', field, list(FIELDS))}")
    strength = given["strength"]
    if isinstance(strength, float) and not abs(strength) <= MOST:
        raise BadOption(f"--strength is {strength}; give a number such as 0.8, at most {MOST:g}")
    cleared: dict[str, Value] = dict.fromkeys(clear)
    return cleared | {field: value for field, value in given.items() if value is not None}


def _written(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
