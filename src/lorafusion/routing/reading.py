"""Reading: a prompt as phrases, with what is stressed and what is denied."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lorafusion.routing.words import (
    DENYING,
    FRAMES,
    LINKS,
    NEGATORS,
    VERBS,
    WORD,
    means,
)

LONGEST = 4
"""Words of the longest part of a phrase that is looked at by itself."""
WIDEST = 6
"""Words of the longest pair of phrases that is looked at as one."""
JOINED = -2
"""Pairs of phrases have numbers from here downwards, single ones from 0 upwards."""
MOST = 160
"""Spans that are looked at in one prompt; of a longer one the whole phrases come first."""

_CLAUSE = re.compile(r"[^,.;:!?()\[\]{}|\"“”\n<>/]+|\.(?=\d)")
_STRESS = re.compile(r"\\[()\[\]]|[()\[\]]|:\s*\d*\.?\d+\s*(?=\))")
_NOUNS_IN_ING = {
    "building", "ceiling", "clothing", "drawing", "evening", "lighting", "morning", "painting",
    "spring", "string", "wedding",
}  # fmt: skip


@dataclass(frozen=True)
class Span:
    """Some words of a prompt that stand together.

    Attributes:
        text: as the prompt writes them, with single spaces.
        start: index of the first letter in the prompt.
        end: index after the last letter.
        words: indices of its words in the prompt.
        chunk: which phrase of the prompt it belongs to.
        head: whether it holds the last word of that phrase, which says what the phrase is about.
        stress: factor of ``(words:1.2)`` around it; 1 without.
        denied: whether the prompt says that this is not there.
    """

    text: str
    start: int
    end: int
    words: tuple[int, ...]
    chunk: int
    head: bool
    stress: float = 1.0
    denied: bool = False


@dataclass(frozen=True)
class _Word:
    text: str
    start: int
    end: int
    place: int

    @property
    def low(self) -> str:
        return self.text.casefold().replace("’", "'")  # noqa: RUF001 - as people type


def read(prompt: str) -> list[Span]:
    """All spans of a prompt: each phrase, and the runs of up to four words in it.

    Phrases are runs of words between punctuation, line ends, prepositions, conjunctions and
    frequent verbs; "the crown of a tree" is one phrase. Words that mean nothing by themselves begin
    and end no span. What is said twice is one span.
    """
    stresses = _stresses(prompt)
    found: list[Span] = []
    place = 0
    count = 0
    for clause in _CLAUSE.finditer(prompt):
        words = []
        for match in WORD.finditer(clause.group()):
            start = clause.start() + match.start()
            words.append(_Word(match.group(), start, start + len(match.group()), place))
            place += 1
        before: list[_Word] = []
        for chunk, is_denied in _chunks(words):
            stress = stresses[chunk[0].start]
            if before and not is_denied:
                found += _joined(prompt, before, chunk, count)
            found += _spans(chunk, count, stress, is_denied)
            before = [] if is_denied else chunk
            count += 1
    once: dict[tuple[str, bool, bool, float], Span] = {}
    for span in found:
        once.setdefault((span.text.casefold(), span.head, span.denied, span.stress), span)
    order = sorted(once.values(), key=lambda s: (not s.head, len(s.words) > 1, s.start))
    return order[:MOST]


def phrases_of(prompt: str) -> list[Span]:
    """The phrases alone, each whole, in the order of the prompt."""
    longest: dict[int, Span] = {}
    for span in read(prompt):
        old = longest.get(span.chunk)
        if span.chunk >= 0 and (old is None or len(span.words) > len(old.words)):
            longest[span.chunk] = span
    return sorted(longest.values(), key=lambda span: span.start)


def _joined(prompt: str, first: list[_Word], second: list[_Word], count: int) -> Iterator[Span]:
    """Two neighbouring phrases as one: "a jacket with sequins", "a chef who has tattoos"."""
    places = (*(word.place for word in first), *(word.place for word in second))
    start, end = first[0].start, second[-1].end
    if len(places) <= WIDEST:
        yield Span(" ".join(prompt[start:end].split()), start, end, places, JOINED - count, True)


def _chunks(words: list[_Word]) -> Iterator[tuple[list[_Word], bool]]:
    """The phrases of a clause, and whether each is denied."""
    chunk: list[_Word] = []
    denied = carried = False
    index = 0
    while index < len(words):
        word = words[index]
        pair = (word.low, words[index + 1].low) if index + 1 < len(words) else ("", "")
        denies = word.low in NEGATORS or pair in DENYING or word.low.endswith("n't")
        breaks = word.low in LINKS or word.low in VERBS or denies
        ing = word.low.endswith("ing") and len(word.low) > 5 and word.low not in _NOUNS_IN_ING
        joins = word.low == "of" and bool(chunk) and chunk[-1].low not in FRAMES
        if (breaks or ing or (word.low == "of" and not joins)) and _trimmed(chunk):
            yield _trimmed(chunk), denied
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
    if _trimmed(chunk):
        yield _trimmed(chunk), denied


def _bare(words: list[_Word], index: int) -> bool:
    """Whether no article begins here: "no hat and scarf" denies both, "and a scarf" does not."""
    return index < len(words) and means(words[index].text)


def _trimmed(chunk: list[_Word]) -> list[_Word]:
    """A run of words without those at its ends that mean nothing."""
    while chunk and not means(chunk[-1].text):
        chunk = chunk[:-1]
    while chunk and not means(chunk[0].text):
        chunk = chunk[1:]
    return chunk


def _spans(chunk: list[_Word], number: int, stress: float, denied: bool) -> Iterator[Span]:
    last = len(chunk)
    ends = [i for i, word in enumerate(chunk) if word.low == "of"]
    head_end = ends[0] if ends else last  # "crown of a tree" is about a crown
    for first in range(last):
        for end in range(first + 1, last + 1):
            part = chunk[first:end]
            whole = end - first == last
            if not whole and (end - first > LONGEST or _trimmed(part) != part):
                continue
            if all(word.low in FRAMES or word.low.isdigit() for word in part):
                continue
            text = " ".join(word.text for word in part)
            yield Span(
                text,
                part[0].start,
                part[-1].end,
                tuple(word.place for word in part),
                number,
                whole or (end == head_end and not ends),
                stress,
                denied,
            )


def _stresses(prompt: str) -> list[float]:
    """The factor at each letter: ``(x:1.3)`` is 1.3, ``(x)`` 1.1, ``[x]`` 1 / 1.1."""
    factors = [1.0] * len(prompt)
    stack: list[tuple[str, int]] = []
    for match in _STRESS.finditer(prompt):
        mark = match.group()
        if mark in "([":
            stack.append((mark, match.start()))
        elif mark in ")]" and stack and stack[-1][0] == {")": "(", "]": "["}[mark]:
            opening, start = stack.pop()
            given = re.search(r":\s*(\d*\.?\d+)\s*$", prompt[start : match.start()])
            own = 1.1 if opening == "(" else 1 / 1.1
            factor = float(given.group(1)) if given and opening == "(" else own
            for i in range(start, match.end()):
                factors[i] *= factor
    return factors
