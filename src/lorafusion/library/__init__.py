"""A folder of LoRA files as a catalogue: what there is, what it is called, what it is about."""

from __future__ import annotations

from lorafusion.library.catalogue import Library
from lorafusion.library.described import Catalogue
from lorafusion.library.entry import Entry
from lorafusion.library.keys import Encoder

__all__ = ["Catalogue", "Encoder", "Entry", "Library"]
