"""Sources: of which files a LoRA was made that is not a file of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypedDict

from lorafusion.lora.lora import LoRA

SOURCES = "lorafusion.sources"
"""Key of the metadata: JSON, one entry for each LoRA with its name, sha256 and weights."""


class SourceOf(TypedDict):
    """One LoRA that another was made of."""

    name: str
    sha256: str
    weight: float
    text_weight: float


def sources_of(lora: LoRA) -> list[SourceOf]:
    """What this LoRA was made of; itself, at weight 1, when it is nothing but itself."""
    if SOURCES in lora.metadata and not lora.sha256:
        return json.loads(lora.metadata[SOURCES])
    return [SourceOf(name=lora.name, sha256=lora.sha256, weight=1.0, text_weight=1.0)]


def sources_text(loras: Sequence[LoRA], weights: Sequence[float]) -> str:
    """The value for `SOURCES`: these LoRAs at these weights, and what they were made of in turn."""
    entries = [
        SourceOf(
            name=inner["name"],
            sha256=inner["sha256"],
            weight=inner["weight"] * weight,
            text_weight=inner["text_weight"] * weight,
        )
        for lora, weight in zip(loras, weights, strict=True)
        for inner in sources_of(lora)
    ]
    return json.dumps(entries, ensure_ascii=False)
