"""Reading: a prompt as phrases, with what is stressed and what is denied."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lorafusion.routing.background import ordinary_words
from lorafusion.routing.chunks import Word, chunks, trimmed
from lorafusion.routing.words import FRAMES, WORD, stem

LONGEST = 4
"""Words of the longest part of a phrase that is looked at by itself."""
WIDEST = 6
"""Words of the longest pair of phrases that is looked at as one."""
NEAR = 3
"""Pairs of phrases have at most two words between them."""
JOINED = -2
"""Pairs of phrases have numbers from here downwards, single ones from 0 upwards."""
MOST = 160
"""Spans that are looked at in one prompt; of a longer one the whole phrases come first."""

_CLAUSE = re.compile(r"[^,.;:!?()\[\]{}|\"“”\n<>/]+|\.(?=\d)")
_STRESS = re.compile(r"\\[()\[\]]|[()\[\]]|:\s*\d*\.?\d+\s*(?=\))")


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


def read(prompt: str, names: frozenset[str] = frozenset()) -> list[Span]:
    """All spans of a prompt: each phrase, and the runs of up to four words in it.

    Phrases are runs of words between punctuation, line ends, prepositions, conjunctions and
    frequent verbs; "the crown of a tree" is one phrase. Words that mean nothing by themselves begin
    and end no span. What is said twice is one span.

    Args:
        prompt: sentences or tags.
        names: words that else would only frame, as "sketch" does, but that are a LoRA's name here.
    """
    stresses = _stresses(prompt)
    framing = FRAMES - names
    found: list[Span] = []
    place = 0
    count = 0
    for clause in _CLAUSE.finditer(prompt):
        words = []
        for match in WORD.finditer(clause.group()):
            start = clause.start() + match.start()
            words.append(Word(match.group(), start, start + len(match.group()), place))
            place += 1
        before: list[Word] = []
        for chunk, is_denied in chunks(words):
            stress = stresses[chunk[0].start]
            if before and not is_denied and _say(before, framing) and _say(chunk, framing):
                found += _joined(prompt, before, chunk, count)
            found += _spans(chunk, (count, stress, is_denied), framing)
            before = [] if is_denied else chunk
            count += 1
    once: dict[tuple[str, bool, bool, float], Span] = {}
    for span in found:
        once.setdefault((span.text.casefold(), span.head, span.denied, span.stress), span)
    order = sorted(once.values(), key=lambda s: (not s.head, len(s.words) > 1, s.start))
    return order[:MOST]


def phrases_of(prompt: str, names: frozenset[str] = frozenset()) -> list[Span]:
    """The phrases alone, each whole, in the order of the prompt; arguments as of `read`."""
    longest: dict[int, Span] = {}
    for span in read(prompt, names):
        old = longest.get(span.chunk)
        if span.chunk >= 0 and (old is None or len(span.words) > len(old.words)):
            longest[span.chunk] = span
    return sorted(longest.values(), key=lambda span: span.start)


def _joined(prompt: str, first: list[Word], second: list[Word], count: int) -> Iterator[Span]:
    """Two neighbouring phrases as one: "a jacket with sequins", "a chef who has tattoos"."""
    places = (*(word.place for word in first), *(word.place for word in second))
    start, end = first[0].start, second[-1].end
    between = prompt[first[-1].end : second[0].start].casefold().split()
    # "pen and ink" may be one thing, "a pen and an ink pot" are two
    two = len(between) > 1 and not {"and", "or"}.isdisjoint(between)
    if len(places) <= WIDEST and places[len(first)] - first[-1].place <= NEAR and not two:
        yield Span(" ".join(prompt[start:end].split()), start, end, places, JOINED - count, True)


def _spans(
    chunk: list[Word], told: tuple[int, float, bool], framing: frozenset[str]
) -> Iterator[Span]:
    number, stress, denied = told
    size = len(chunk)
    split = [i for i, word in enumerate(chunk) if word.low == "of"]
    for first, end in _parts(chunk, split):
        part = chunk[first:end]
        if not _say(part, framing):
            continue
        yield Span(
            " ".join(word.text for word in part),
            part[0].start,
            part[-1].end,
            tuple(word.place for word in part),
            number,
            len(part) == size or not split,
            stress,
            denied,
        )


def _say(words: Sequence[Word], framing: frozenset[str]) -> bool:
    """Whether some of the words do more than frame or count."""
    return not all(word.low in framing or word.low.isdigit() for word in words)


def _parts(chunk: list[Word], split: list[int]) -> Iterator[tuple[int, int]]:
    """Beginnings and ends of the spans of a phrase: the phrase, and what ends with a main word.

    The main word is the last one, before "of" and after it, and the one before words that only frame.
    """
    yield 0, len(chunk)
    starts = [0, *(i + 1 for i in split)]
    for start, stop in zip(starts, [*split, len(chunk)], strict=True):
        ends = [stop]
        while ends[-1] - 1 > start and _passing(chunk[ends[-1] - 1].low):
            ends.append(ends[-1] - 1)
        for end in ends:
            for first in range(max(start, end - LONGEST), end):
                part = chunk[first:end]
                if (first, end) != (0, len(chunk)) and trimmed(part) == part:
                    yield first, end


def _passing(word: str) -> bool:
    """Whether a phrase is about the word before this one: it only frames, or is rather a verb."""
    verbal = len(word) > 4 and word.endswith(("ed", "s")) and not word.endswith("ss")
    return word in FRAMES or (verbal and stem(word) not in ordinary_words())


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
