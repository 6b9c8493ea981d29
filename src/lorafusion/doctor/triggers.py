"""Trigger words that more than one LoRA listens to: whoever writes one gets them all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence


def clashes(triggers: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Trigger -> the LoRAs that have it, where they are at least two; case and space do not count.

    Args:
        triggers: name of a LoRA -> its trigger words.

    Returns:
        sorted by trigger; names in the order given.
    """
    owners: defaultdict[str, list[str]] = defaultdict(list)
    for name, words in triggers.items():
        for word in dict.fromkeys(" ".join(word.split()).casefold() for word in words):
            owners[word].append(name)
    return {word: tuple(owners[word]) for word in sorted(owners) if len(owners[word]) > 1 and word}
