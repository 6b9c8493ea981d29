"""Listing: a survey with the user's words: everything that is known of each file unread."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from lorafusion.errors import UnknownName
from lorafusion.library.card import Card, first
from lorafusion.library.following import followed
from lorafusion.library.keytext import TextFrom
from lorafusion.library.naming import label_of, words_of_name
from lorafusion.library.reading import Reading
from lorafusion.library.settings import read_settings
from lorafusion.library.survey import Item, Survey
from lorafusion.registry import unknown


class Listed(NamedTuple):
    """One file of a folder, as the user is to see it.

    Attributes:
        name: unique in the folder.
        location: path of the file, as text: a `Path` for each of ten thousand takes a while.
        stamp: changes whenever the file does.
        card: what is known about it, the user's words first, the file's name last.
        text_from: where the card's text is from.
        reading: what the file and its sidecars say.
    """

    name: str
    location: str
    stamp: str
    card: Card
    text_from: TextFrom
    reading: Reading

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.location)

    @property
    def preview(self) -> Path | None:
        """The picture beside the file."""
        return self.path.with_name(self.reading.preview) if self.reading.preview else None


@dataclass(frozen=True)
class Listing:
    """All files of a folder.

    Attributes:
        survey: how the folder was looked at.
        files: sorted by name, those with problems too.
        strays: names in the settings file that no file has, by name or by content.
        owners: name of a file -> the name in the settings file whose words it has.
    """

    survey: Survey
    files: tuple[Listed, ...]
    strays: tuple[str, ...]
    owners: Mapping[str, str]

    @property
    def usable(self) -> tuple[Listed, ...]:
        """The files that can be used."""
        return tuple(file for file in self.files if not file.reading.problem)

    @property
    def skipped(self) -> tuple[Listed, ...]:
        """The files that cannot; `reading.problem` says why."""
        return tuple(file for file in self.files if file.reading.problem)


def usual_family(files: Sequence[Listed]) -> str:
    """The family of more than half of the files, or "unknown"."""
    counted = Counter(file.reading.family for file in files).most_common(1)
    return counted[0][0] if counted and 2 * counted[0][1] > len(files) else "unknown"


def listing(seen: Survey, texts: Mapping[str, str] | None = None) -> Listing:
    """Add what the user says to a survey.

    Args:
        seen: the folder.
        texts: name -> key text, before any other source of key text.

    Raises:
        InputError: the settings file cannot be read.
        UnknownName: `texts` names a LoRA that is not there.
    """
    said = read_settings(seen.folder)
    owners, strays = followed(said, seen.items)
    cards = {name: said[owner].card for name, owner in owners.items()}
    names = {item.name for item in seen.items} if texts else set()
    for name, text in (texts or {}).items():
        if name not in names:
            raise UnknownName(f"texts: {unknown('LoRA', name, sorted(names))}")
        if text.strip():
            cards[name] = replace(cards.get(name, Card()), text=text.strip())
    inside = "" if seen.folder == Path() else os.path.join(seen.folder, "")  # noqa: PTH118 - text
    files = tuple(_listed(inside, item, cards.get(item.name)) for item in seen.items)
    return Listing(seen, files, tuple(strays), owners)


def _listed(inside: str, item: Item, user: Card | None) -> Listed:
    """One item of a survey, with what the user says about it, if anything."""
    name, found, reading = item
    card, origin = reading.card, reading.text_from
    if user is not None:
        card = first((user, card))
        origin = "user" if user.text else origin
    if not card.text:
        card = replace(card, text=words_of_name(label_of(found.path)))
    return Listed(name, inside + found.path, found.stamp, card, origin, reading)
