"""Entry: one LoRA of a library, not yet read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lorafusion.errors import UnreadableFile
from lorafusion.library.keytext import TextFrom

if TYPE_CHECKING:
    from lorafusion.lora import LoRA


@dataclass(frozen=True)
class Entry:
    """One LoRA file and what is known about it; a `Source` of routes.

    Attributes:
        name: unique in its library, stable while no file is added or moved.
        location: path of the file, as text: a `Path` for each of ten thousand takes a while.
        category: character, clothing, object, background or style, or "" when nobody said.
        text: the key text, what prompts are compared with.
        text_from: where the key text was found: "user", "sidecar", "metadata" or "name".
        triggers: words that the training captions used.
        strength: how strongly its maker or user likes it, 1 being as trained; None when nobody said.
        picture: name of the picture beside the file, or "".
        family: of the base model, by keys and shapes; "unknown" where they do not tell.
    """

    name: str
    location: str
    category: str
    text: str
    text_from: TextFrom
    triggers: tuple[str, ...]
    strength: float | None = None
    picture: str = ""
    family: str = "unknown"

    @cached_property
    def path(self) -> Path:
        """The file."""
        return Path(self.location)

    @property
    def preview(self) -> Path | None:
        """The picture beside the file, or None."""
        return self.path.with_name(self.picture) if self.picture else None

    @cached_property
    def sha256(self) -> str:
        """Of the whole file, in hexadecimal; computed when first asked for.

        Raises:
            UnreadableFile: the file is gone or cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UnreadableFile(f"{self.path}: cannot be read ({error.strerror})") from error

    def load(self) -> LoRA:
        """Read the whole file, unless it is kept from the last time and has not changed since.

        Category and triggers are the entry's, which heard the user and the sidecars first, and the
        file's own where the entry has none.

        Raises:
            InputError: the file cannot be read as a LoRA; the message names it.
        """
        from lorafusion import formats  # imports torch, which finding out what to load does without

        lora = formats.KEPT.get(self.path, self.name)
        return replace(
            lora,
            category=self.category or lora.category,
            triggers=self.triggers or lora.triggers,
        )
