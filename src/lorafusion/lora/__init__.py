"""What a LoRA file says, once it has been read: the kinds of Delta, and LoRA, frozen."""

from __future__ import annotations

from lorafusion.lora.dense import Dense
from lorafusion.lora.dora import DoRA
from lorafusion.lora.kinds import Delta, Free, dense_on
from lorafusion.lora.loha import LoHa
from lorafusion.lora.lokr import LoKr
from lorafusion.lora.lora import LoRA
from lorafusion.lora.lowrank import LowRank, tucker
from lorafusion.lora.sources import SOURCES, SourceOf, sources_of, sources_text
from lorafusion.lora.spectral import Spectral, spectrum
from lorafusion.lora.truncate import stacked, truncated

__all__ = [
    "SOURCES",
    "Delta",
    "Dense",
    "DoRA",
    "Free",
    "LoHa",
    "LoKr",
    "LoRA",
    "LowRank",
    "SourceOf",
    "Spectral",
    "dense_on",
    "sources_of",
    "sources_text",
    "spectrum",
    "stacked",
    "truncated",
    "tucker",
]
