"""Card: what one source says about a LoRA."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """What a user, a sidecar or a header says about a LoRA; empty where it says nothing.

    JSON can spell half a character (``\\ud800``), which no tokenizer and no file takes; it becomes "?".

    Attributes:
        text: characteristic text, the source of the LoRA's key.
        category: character, clothing, object, background, style.
        triggers: words that the training captions used.
        strength: how strongly its maker or user likes it, 1 being as trained; None when nobody said.
    """

    text: str = ""
    category: str = ""
    triggers: tuple[str, ...] = ()
    strength: float | None = None

    def __post_init__(self) -> None:
        if "".join((self.text, self.category, *self.triggers)).isascii():
            return  # as nearly all of ten thousand are
        object.__setattr__(self, "text", _whole(self.text))
        object.__setattr__(self, "category", _whole(self.category))
        object.__setattr__(self, "triggers", tuple(map(_whole, self.triggers)))


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def first(cards: Iterable[Card]) -> Card:
    """Each field from the first card that has it."""
    cards = tuple(cards)
    return Card(
        text=next((card.text for card in cards if card.text), ""),
        category=next((card.category for card in cards if card.category), ""),
        triggers=next((card.triggers for card in cards if card.triggers), ()),
        strength=next((card.strength for card in cards if card.strength is not None), None),
    )


def sentence(parts: Iterable[str]) -> str:
    """Join pieces of text with full stops, leaving out what another piece already says."""
    kept: list[str] = []
    for part in (" ".join(part.split()).rstrip(".") for part in parts):
        if not part or any(_words(part) in _words(other) for other in kept):
            continue
        kept = [other for other in kept if _words(other) not in _words(part)] + [part]
    return ". ".join(kept)


def words_of(*texts: str) -> tuple[str, ...]:
    """Comma-separated words, each once, in their order."""
    words = (word.strip() for text in texts for word in text.split(","))
    return tuple(dict.fromkeys(word for word in words if word))


def _words(text: str) -> str:
    """The words alone, to look for one text in another whatever their punctuation."""
    words = " ".join(re.findall(r"[^\W_]+", text))
    return f" {words.casefold()} "
