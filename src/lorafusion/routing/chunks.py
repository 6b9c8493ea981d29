"""Chunks: a clause cut into phrases, and whether the prompt says that what they name is not there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from lorafusion.routing.words import (
    ABSENT,
    DENYING,
    FRAMES,
    LINKS,
    NEGATORS,
    OPENERS,
    PLACING,
    VERBS,
    means,
)

_NOUNS_IN_ING = {
    "building", "ceiling", "clothing", "drawing", "evening", "lighting", "morning", "painting",
    "spring", "string", "wedding",
}  # fmt: skip


@dataclass(frozen=True)
class Word:
    """A word of a prompt: as written, where it begins and ends, and the how-manieth it is."""

    text: str
    start: int
    end: int
    place: int

    @cached_property
    def low(self) -> str:
        """In lower case, with a plain apostrophe."""
        return self.text.casefold().replace("’", "'")  # noqa: RUF001 - as people type


def chunks(words: list[Word]) -> Iterator[tuple[list[Word], bool]]:
    """The phrases of a clause, and whether each is denied."""
    chunk: list[Word] = []
    denied = carried = False
    index = 0
    while index < len(words):
        word = words[index]
        pair = (word.low, words[index + 1].low) if index + 1 < len(words) else ("", "")
        denies = word.low in NEGATORS or pair in DENYING or word.low.endswith("n't")
        denies = denies or (
            word.low == "zero" and pair[1].endswith("s")
        )  # "the zero suit" does not
        placing = index > 0 and (words[index - 1].low, *pair) in PLACING
        breaks = (
            placing
            or word.low in LINKS
            or word.low in VERBS
            or denies
            or word.low.endswith("-less")
        )
        ing = word.low.endswith("ing") and len(word.low) > 5 and word.low not in _NOUNS_IN_ING
        joins = word.low == "of" and bool(chunk) and chunk[-1].low not in FRAMES
        opens = word.low in OPENERS and bool(chunk) and chunk[-1].low != "of"
        gone = word.low in ABSENT and bool(chunk)
        if (breaks or opens or gone or ing or (word.low == "of" and not joins)) and trimmed(chunk):
            yield trimmed(chunk), denied or gone
            carried, denied, chunk = denied, False, []
        if denies and pair != ("not", "only"):
            denied = True
            index += pair in DENYING
            chunk = []
        elif carried and (word.low == "or" or (word.low == "and" and _bare(words, index + 1))):
            denied = True
        elif word.low == "but":
            denied = False
        elif not breaks and (means(word.text) or chunk):
            chunk.append(word)
        if not breaks:
            carried = False
        index += 1
    if trimmed(chunk):
        yield trimmed(chunk), denied


def _bare(words: list[Word], index: int) -> bool:
    """Whether no article begins here: "no hat and scarf" denies both, "and a scarf" does not."""
    return index < len(words) and means(words[index].text)


def trimmed(chunk: list[Word]) -> list[Word]:
    """A run of words without those at its ends that mean nothing."""
    while chunk and not means(chunk[-1].text):
        chunk = chunk[:-1]
    while chunk and not means(chunk[0].text):
        chunk = chunk[1:]
    return chunk
