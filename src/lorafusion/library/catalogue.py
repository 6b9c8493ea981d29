"""Library: a folder of LoRA files, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from lorafusion import formats
from lorafusion.errors import UnknownName
from lorafusion.library.card import Card
from lorafusion.library.entry import Entry
from lorafusion.library.keys import Encoder, key_vectors
from lorafusion.library.keytext import characterise
from lorafusion.library.naming import label_of, unique_names
from lorafusion.library.scan import scan
from lorafusion.library.settings import FILE, read_settings
from lorafusion.library.store import KeyStore
from lorafusion.registry import unknown


class Library:
    """The LoRAs of a folder, sorted by name; read once, when it is made.

    Headers are read and tensors are not, so that a file that is cut short is named at once and a
    large library opens fast.

    Args:
        folder: searched with the folders in it for ``.safetensors`` files.
        texts: name -> key text, before any other source of key text.

    Raises:
        UnreadableFile: no such folder, a broken LoRA file, a sidecar that cannot be parsed.
        EmptyLibrary: no LoRA file in it.
        UnknownName: `texts` or the settings name a LoRA that is not there.
    """

    def __init__(self, folder: str | Path, *, texts: Mapping[str, str] | None = None) -> None:
        self.folder = Path(folder).expanduser()
        files = scan(self.folder)
        names = unique_names(files)
        user = _user_cards(self.folder, names, texts or {})
        found = sorted(zip(names, files, strict=True))
        self._entries = {name: self._entry(name, file, user) for name, file in found}
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
        """
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

    def _entry(self, name: str, file: Path, user: Mapping[str, Card]) -> Entry:
        path = self.folder / file
        metadata = formats.header(path).metadata
        card, origin = characterise(path, label_of(file), metadata, user.get(name, Card()))
        return Entry(name, path, card.category, card.text, origin, card.triggers)


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
