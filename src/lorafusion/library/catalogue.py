"""Library: a folder of LoRA files, by name."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lorafusion.errors import EmptyLibrary, UnknownName, UnreadableFile, WrongBase
from lorafusion.library.entry import Entry
from lorafusion.library.keys import Encoder, Remembered
from lorafusion.library.listing import Listed, listing
from lorafusion.library.settings import FILE
from lorafusion.library.sidecars import read_sidecars
from lorafusion.library.survey import Survey, survey
from lorafusion.registry import unknown


class Library:
    """The LoRAs of a folder, sorted by name; read once, when it is made.

    Headers are read and tensors are not, so that a file that is cut short is named at once. Files
    that have not changed since a library was last made of them are not opened at all; for the first
    look at thousands of files, ``lorafusion library scan`` uses several processes.

    Args:
        folder: searched with the folders in it for ``.safetensors`` files.
        texts: name -> key text, before any other source of key text.
        lenient: leave broken files out instead of raising, use a LoRA without its sidecar where that
            cannot be parsed, and pass over settings that fit no file; `skipped` and `listing` say
            which and why.

    Attributes:
        listing: all that is known of each file unread, those that were left out too.
        skipped: name of a file that was left out -> the reason; empty unless `lenient` or made by
            `fitting`.
        foreign: those of them that are for another base model.

    Raises:
        UnreadableFile: no such folder, a broken LoRA file, a sidecar that cannot be parsed.
        EmptyLibrary: no LoRA file in it, or none that can be used.
        UnknownName: `texts` or the settings name a LoRA that is not there.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        texts: Mapping[str, str] | None = None,
        lenient: bool = False,
    ) -> None:
        self.folder = Path(folder).expanduser()
        seen = survey(self.folder)
        if not lenient:
            _check(seen)
        self.listing = listing(seen, texts or {})
        if self.listing.strays and not lenient:
            known = [file.name for file in self.listing.files]
            raise UnknownName(
                f"{self.folder / FILE}: {unknown('LoRA', self.listing.strays[0], known)}"
            )
        self.skipped = {f.name: f.reading.problem for f in self.listing.skipped if lenient}
        self.foreign: Mapping[str, str] = {}
        self._entries = {
            file.name: _entry(file) for file in self.listing.files if file.name not in self.skipped
        }
        if not self._entries:
            first = self.listing.skipped[0]
            raise EmptyLibrary(
                f"{self.folder}: none of its {len(seen.items)} files can be used; "
                f"{first.path.name}: {first.reading.problem}"
            )
        self._keys = Remembered()

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __getitem__(self, name: str) -> Entry:
        """The LoRA of this name.

        Raises:
            UnknownName: there is none; the message offers the nearest.
            UnreadableFile: it was left out, because it is broken or refused.
            WrongBase: it was left out, because it is for another base model.
        """
        if name in self.skipped:
            kind = WrongBase if name in self.foreign else UnreadableFile
            raise kind(f"{self.folder}: {name}: {self.skipped[name]}")
        if name not in self._entries:
            raise UnknownName(f"{self.folder}: {unknown('LoRA', name, self.names)}")
        return self._entries[name]

    def __repr__(self) -> str:
        return f"Library({str(self.folder)!r}, {len(self)} LoRAs)"

    @property
    def names(self) -> list[str]:
        """All names, sorted."""
        return list(self._entries)

    def fitting(self, family: str) -> Library:
        """The same library without the LoRAs that are known to be for another family.

        Those of an unknown family stay, since only the model itself can tell; so do all, when
        `family` is unknown.

        Args:
            family: a name of `FAMILIES`, or "unknown".

        Raises:
            WrongBase: none is left; the message says what they are for.
        """
        from lorafusion.families import UNKNOWN  # imports torch

        if family == UNKNOWN:
            return self
        foreign = {
            entry.name: f"is for {entry.family}, not for {family}"
            for entry in self
            if entry.family not in (UNKNOWN, family)
        }
        if len(foreign) == len(self):
            name, why = next(iter(foreign.items()))
            raise WrongBase(
                f"{self.folder}: none of its {len(self)} LoRAs fits this base model; {name} {why}"
            )
        rest = copy.copy(self)
        rest.skipped = self.skipped | foreign
        rest.foreign = foreign
        rest._entries = {n: entry for n, entry in self._entries.items() if n not in foreign}
        rest._keys = Remembered()
        return rest

    def keys(self, encoder: Encoder) -> Float[np.ndarray, "n d"]:
        """The key vectors, in the order of iteration: [n, d], float32, rows of length 1.

        Each is computed once and stored, and computed anew when its text or the encoder changes.

        Raises:
            RunError: the encoder answered with something else than one finite vector a text.
        """
        return self._keys.of((entry.text for entry in self), encoder)


def _check(seen: Survey) -> None:
    """Raise for the first file or sidecar that is broken, in the words of now."""
    for item in seen.items:
        if not (item.reading.broken or item.reading.complaint):
            continue
        path = seen.path(item)
        if item.reading.broken:
            from lorafusion import formats  # imports torch

            formats.header(path)
            raise UnreadableFile(f"{path}: {item.reading.broken}")
        read_sidecars(path)
        raise UnreadableFile(f"{path.parent}: {item.reading.complaint}")


def _entry(file: Listed) -> Entry:
    card = file.card
    return Entry(
        file.name,
        file.location,
        card.category,
        card.text,
        file.text_from,
        card.triggers,
        card.strength,
        file.reading.preview,
        file.reading.family,
    )
