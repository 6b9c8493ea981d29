"""Spelling: a word that nobody knows, read as the LoRA's word that it nearly is."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from functools import cached_property

from lorafusion.library.keys import Encoder
from lorafusion.routing.background import ordinary_words
from lorafusion.routing.words import WORD, distance, means, stem

SHORTEST = 5
"""Letters of the shortest word that is corrected: short words have too many neighbours."""
TWO_EDITS = 9
"""Letters from which on a word may be two edits away."""


class Spelling:
    """Corrects the words of spans towards the words of a library.

    Damerau found that four of five misspelt words are one edit away from what was meant. A word is
    left alone where the library, the ordinary phrases or the encoder's own vocabulary have it.

    Args:
        vocabulary: the stems of all words of the library's keys.
        encoder: asked for `words`, its vocabulary, where it has one.
    """

    def __init__(self, vocabulary: Collection[str], encoder: Encoder) -> None:
        self._vocabulary, self._encoder = vocabulary, encoder
        self._found: dict[str, str] = {}

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self._vocabulary) | ordinary_words()

    @cached_property
    def _encoder_words(self) -> AbstractSet[str]:
        # asked for only where nobody else knows a word: listing thirty thousand takes a while
        return getattr(self._encoder, "words", frozenset())

    @cached_property
    def _targets(self) -> list[str]:
        return sorted(word for word in self._vocabulary if len(word) >= SHORTEST)

    def corrected(self, text: str) -> str:
        """The text in lower case, each misspelt word exchanged for the library's."""
        return WORD.sub(lambda match: self._word(match.group()), text.casefold())

    def _word(self, word: str) -> str:
        if word not in self._found:
            self._found[word] = self._look_up(word)
        return self._found[word]

    def _look_up(self, word: str) -> str:
        root = stem(word)
        known = root in self._known or word in self._encoder_words or root in self._encoder_words
        if known or len(root) < SHORTEST or not means(word):
            return word
        most = 2 if len(root) >= TWO_EDITS else 1
        near = [
            (edits, target)
            for target in self._targets
            if target[0] == root[0] and (edits := distance(root, target, most)) <= most
        ]
        return min(near)[1] if near else word
