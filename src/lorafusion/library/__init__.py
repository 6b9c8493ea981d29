"""A folder of LoRA files as a catalogue: what there is, what it is called, what it is about.

Names are imported when they are first used: a list of ten thousand known files needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lorafusion.lazy import imported

if TYPE_CHECKING:
    from lorafusion.library.catalogue import Library as Library
    from lorafusion.library.described import Catalogue as Catalogue
    from lorafusion.library.entry import Entry as Entry
    from lorafusion.library.keys import Encoder as Encoder

_HOMES = {"Catalogue": "described", "Encoder": "keys", "Entry": "entry", "Library": "catalogue"}

__all__ = ["Catalogue", "Encoder", "Entry", "Library"]

__getattr__ = imported(__name__, _HOMES)
