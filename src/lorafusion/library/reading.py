"""Reading: what one look into a file's header and its sidecars tells. No tensor is read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorafusion.errors import InputError
from lorafusion.library.card import Card
from lorafusion.library.keytext import TextFrom, from_files
from lorafusion.library.sidecars import preview_of

if TYPE_CHECKING:
    from lorafusion.formats import Header

SAMPLE = 4096
"""Bytes read at the beginning, middle and end of the tensors, to tell most files apart."""

_TABLES = 512


@dataclass(frozen=True)
class Reading:
    """What a file and its sidecars say.

    Attributes:
        card: what they say it is about; the text is empty where only the name is left.
        text_from: where the card's text is from; "name" where it has none.
        form: the name of its format ("kohya"), or "" where it is refused.
        family: the base model's family by keys, shapes and header, or "unknown".
        ranks: the distinct ranks of its deltas, sorted.
        kinds: the distinct kinds of its deltas, sorted ("LoRA").
        targets: how many weights it changes.
        base: the base model that the file claims, in its own words.
        sample: of the tensors: their names, shapes and some bytes. Equal files have equal ones.
        preview: name of the picture beside it, or "".
        broken: why the file cannot be read at all, or "".
        refused: why it can be read but not used as a LoRA, or "".
        complaint: what is wrong with a sidecar, or "".
    """

    card: Card = field(default_factory=Card)
    text_from: TextFrom = "name"
    form: str = ""
    family: str = "unknown"
    ranks: tuple[int, ...] = ()
    kinds: tuple[str, ...] = ()
    targets: int = 0
    base: str = ""
    sample: str = ""
    preview: str = ""
    broken: str = ""
    refused: str = ""
    complaint: str = ""

    @property
    def problem(self) -> str:
        """Why the file cannot be used, or ""."""
        return self.broken or self.refused

    def fields(self) -> tuple[Any, ...]:
        """As JSON has it: the attributes in their order, without their names, which would be read each time."""
        return astuple(self)

    @staticmethod
    def of(fields: Sequence[Any]) -> Reading:
        """The reading that has these `fields`.

        Raises:
            TypeError, ValueError: it was written by another version.
        """
        # The constructor of a frozen dataclass takes a detour at each field, of ten thousand readings.
        found = object.__new__(Reading)
        told = found.__dict__
        told.update(zip(_NAMES, fields, strict=True))
        text, category, triggers, strength = told["card"]
        told["card"] = Card(text, category, tuple(triggers), strength)
        told["ranks"], told["kinds"] = tuple(told["ranks"]), tuple(told["kinds"])
        return found


_NAMES = tuple(each.name for each in fields(Reading))


def read_file(path: Path) -> Reading:
    """Look into one file; whatever is wrong with it is told in the reading, not raised."""
    try:
        return _read(path)
    except (InputError, OSError) as error:
        return Reading(broken=reason(path, error))
    except Exception as error:  # one file of ten thousand must not end the scan of all
        return Reading(broken=f"cannot be read ({type(error).__name__}: {reason(path, error)})")


def _read(path: Path) -> Reading:
    from lorafusion import formats
    from lorafusion.formats import about

    head = formats.header(path)
    sample = _sample(path, head)
    complaint, (card, origin) = "", _silent(head)
    try:
        card, origin = from_files(path, head.metadata)
    except InputError as error:
        complaint = reason(path.parent, error)
    preview = preview_of(path)
    return Reading(
        card=card,
        text_from=origin,
        base=next(iter(about.bases(head.metadata)), ""),
        sample=sample,
        preview=preview.name if preview else "",
        complaint=complaint,
        **_looked_up(head),
    )


def reason(path: Path, error: Exception) -> str:
    """The message of an error in one line, without the path that it begins with."""
    message = str(error).removeprefix(str(path)).lstrip(os.sep + ": ")
    return " ".join(message.split())


def _silent(head: Header) -> tuple[Card, TextFrom]:
    """What the header alone says, for a file whose sidecars cannot be parsed."""
    from lorafusion.library.headers import card_of_header

    card = card_of_header(head.metadata)
    return card, "metadata" if card.text else "name"


def _looked_up(head: Header) -> dict[str, Any]:
    """Format, family, ranks and targets; worked out once for all files with equal tables."""
    from lorafusion.formats import about

    content = (tuple(head.shapes.items()), tuple(head.dtypes.values()))
    bare = replace(head, metadata={})  # remembered with the answer, and metadata can be long
    return _described(_Table(content, about.bases(head.metadata), lambda: bare))


@dataclass(frozen=True)
class _Table:
    """A table of tensors, the bases it claims, and its header, which does not count for equality."""

    content: tuple[object, ...]
    bases: tuple[str, ...]
    head: Callable[[], Header] = field(compare=False)


@lru_cache(maxsize=_TABLES)
def _described(table: _Table) -> dict[str, Any]:
    from lorafusion.families import recognise
    from lorafusion.formats.table import format_of

    head = table.head()
    try:
        form = format_of(head.keys)
        deltas = form.read(head.blanks(), {})
    except InputError as error:
        return {"refused": " ".join(str(error).split())}
    ranks = {getattr(delta, "rank", 0) for delta in deltas.values()} - {0}
    return {
        "form": form.name,
        "family": recognise(deltas, table.bases),
        "ranks": tuple(sorted(ranks)),
        "kinds": tuple(sorted({getattr(delta, "kind", "LoRA") for delta in deltas.values()})),
        "targets": len(deltas),
    }


def _sample(path: Path, head: Header) -> str:
    """A hash of names, shapes, dtypes and a few blocks of the tensors.

    Users' settings hold it (`following`): another way of hashing would lose their words' files.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((tuple(head.shapes.items()), tuple(head.dtypes.values()))).encode())
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = 8 + int.from_bytes(file.read(8), "little")
        for place in (start, (start + size) // 2, max(start, size - SAMPLE)):
            file.seek(place)
            digest.update(file.read(SAMPLE))
        digest.update((size - start).to_bytes(8, "little"))
    return digest.hexdigest()
