"""Library: a folder of LoRA files, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from lorafusion import formats
from lorafusion.errors import EmptyLibrary, UnknownName, UnreadableFile
from lorafusion.library.card import Card
from lorafusion.library.entry import Entry
from lorafusion.library.keys import Encoder, key_vectors
from lorafusion.library.listing import Listed, listed
from lorafusion.library.settings import FILE, read_settings
from lorafusion.library.sidecars import read_sidecars
from lorafusion.library.store import KeyStore
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
        lenient: leave broken files out instead of raising, and use a LoRA without its sidecar where
            that cannot be parsed; `skipped` says which and why.

    Attributes:
        skipped: name of a file that was left out -> the reason; empty unless `lenient`.

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
        self.skipped = {item.name: item.reading.problem for item in seen.items}
        if not lenient:
            _check(seen)
        self.skipped = {name: why for name, why in self.skipped.items() if why and lenient}
        user = _user_cards(self.folder, [item.name for item in seen.items], texts or {})
        self._entries = {
            item.name: _entry(listed(seen, item, user.get(item.name, Card())))
            for item in seen.items
            if item.name not in self.skipped
        }
        if not self._entries:
            name, why = next(iter(self.skipped.items()))
            raise EmptyLibrary(
                f"{self.folder}: none of its {len(seen.items)} files can be used; {name}: {why}"
            )
        self._keys: dict[str, Float[Tensor, "n d"]] = {}

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
        """
        if name in self.skipped:
            raise UnreadableFile(f"{self.folder}: {name}: {self.skipped[name]}")
        if name not in self._entries:
            raise UnknownName(f"{self.folder}: {unknown('LoRA', name, self.names)}")
        return self._entries[name]

    def __repr__(self) -> str:
        return f"Library({str(self.folder)!r}, {len(self)} LoRAs)"

    @property
    def names(self) -> list[str]:
        """All names, sorted."""
        return list(self._entries)

    def keys(self, encoder: Encoder) -> Float[Tensor, "n d"]:
        """The key vectors, in the order of iteration: [n, d], float32, rows of length 1.

        Each is computed once and stored, and computed anew when its text or the encoder changes.

        Raises:
            RunError: the encoder answered with something else than one finite vector a text.
        """
        ident = encoder.id
        if ident in self._keys:
            return self._keys[ident]
        keys = key_vectors([entry.text for entry in self], encoder, KeyStore())
        if ident:  # an encoder without a name may be another one next time
            self._keys = {ident: keys}
        return keys


def _check(seen: Survey) -> None:
    """Raise for the first file or sidecar that is broken, in the words of now."""
    for item in seen.items:
        path = seen.path(item)
        if item.reading.broken:
            formats.header(path)
            raise UnreadableFile(f"{path}: {item.reading.broken}")
        if item.reading.complaint:
            read_sidecars(path)
            raise UnreadableFile(f"{path.parent}: {item.reading.complaint}")


def _entry(file: Listed) -> Entry:
    card = file.card
    return Entry(
        file.name,
        file.path,
        card.category,
        card.text,
        file.text_from,
        card.triggers,
        strength=card.strength,
        preview=file.preview,
    )


def _user_cards(folder: Path, names: list[str], texts: Mapping[str, str]) -> dict[str, Card]:
    """Name -> what the user says; the `texts` argument goes before the settings file."""
    cards = read_settings(folder)
    for where, given in ((str(folder / FILE), cards), ("texts", texts)):
        for name in given:
            if name not in names:
                raise UnknownName(f"{where}: {unknown('LoRA', name, sorted(names))}")
    for name, text in texts.items():
        if text.strip():
            cards[name] = replace(cards.get(name, Card()), text=text.strip())
    return cards
