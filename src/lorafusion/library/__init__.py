"""A folder of LoRA files as a catalogue: what there is, what it is called, what it is about.

Names are imported when they are first used: a list of ten thousand known files needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lorafusion.library.catalogue import Library as Library
    from lorafusion.library.described import Catalogue as Catalogue
    from lorafusion.library.entry import Entry as Entry
    from lorafusion.library.keys import Encoder as Encoder

_HOMES = {"Catalogue": "described", "Encoder": "keys", "Entry": "entry", "Library": "catalogue"}

__all__ = ["Catalogue", "Encoder", "Entry", "Library"]


def __getattr__(name: str) -> object:
    """Import the home of a public name and remember the name (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
