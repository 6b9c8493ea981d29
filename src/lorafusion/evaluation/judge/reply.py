"""Reply: a judge's text read as marks. JSON first; then tables and sentences; else a named failure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from lorafusion.evaluation.judge.rubric import AXES, LEAST, MOST

Marks = tuple[dict[str, float], dict[str, float]]
"""axis -> mark, of the first and of the second image."""

REFUSED, MISSING, RANGE, UNREADABLE = "refused", "marks missing", "marks out of range", "no marks"
"""The ways in which a text can fail."""

_NUMBER = r"(-?\d+(?:\.\d+)?)"
_GAP = r"[^\d\n|]{0,24}?"
_STRICT, _LOOSE = r"\s*(?:/|out of)\s*10\b", ""
_PATTERNS = tuple(
    {
        "composition": re.compile(
            rf"composition(?:al)?(?: quality)?(?: score| mark)?{_GAP}{_NUMBER}{ending}"
        ),
        "quality": re.compile(
            rf"(?<!composition )(?<!compositional )quality(?: score| mark)?{_GAP}{_NUMBER}{ending}"
        ),
    }
    for ending in (_STRICT, _LOOSE)
)
"""First marks that say "of 10", for other numbers are deductions; then any number."""
_HEADING = re.compile(r"image[ _]?([12])\b")
_REFUSAL = re.compile(
    r"\b(?:sorry|cannot|can't|can not|unable|not able|won't|will not|decline|as an ai)\b"
)


class Unread(Exception):
    """A text without a full set of marks; `kind` says in which way."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def read_marks(text: str) -> Marks:
    """The four marks in a judge's answer.

    Raises:
        Unread: it refuses, lacks marks, has some outside 0 to 10, or none at all.
    """
    found = _from_json(text) or _from_table(text) or _from_words(text)
    count = sum(len(one) for one in found) if found else 0
    if count == 0:
        raise Unread(REFUSED if _REFUSAL.search(text.lower()) else UNREADABLE)
    assert found is not None
    if count < 2 * len(AXES):
        raise Unread(MISSING)
    if any(not LEAST <= mark <= MOST for one in found for mark in one.values()):
        raise Unread(RANGE)
    return found


def _from_json(text: str) -> Marks | None:
    """The last JSON object in the text that speaks of both images."""
    last: Marks | None = None
    for content in _objects(text):
        images = {re.sub(r"\W|_", "", key.lower()): value for key, value in content.items()}
        pair = [images.get(f"image{number}") for number in (1, 2)]
        if all(isinstance(one, dict) for one in pair):
            last = (_axes(pair[0]), _axes(pair[1]))
    return last if last and any(last) else None


def _objects(text: str) -> Iterator[dict[str, object]]:
    decoder, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            content, end = decoder.raw_decode(text, at)
        except ValueError:
            at = text.find("{", at + 1)
            continue
        if isinstance(content, dict):
            yield content
        at = text.find("{", end)


def _axes(said: object) -> dict[str, float]:
    found: dict[str, float] = {}
    for key, value in said.items() if isinstance(said, dict) else ():
        axis = "composition" if "compos" in key.lower() else "quality"
        wanted = axis == "composition" or "quality" in key.lower()
        number = re.match(_NUMBER, str(value).strip()) if not isinstance(value, bool) else None
        if wanted and number:
            found[axis] = float(number[1])
    return found


def _from_table(text: str) -> Marks | None:
    """A table with a row for each image, or with a column for each."""
    rows = [
        [_plain(cell) for cell in line.strip().strip("|").split("|")]
        for line in text.splitlines()
        if line.count("|") >= 2 and not re.fullmatch(r"[\s|:-]+", line)
    ]
    grid = {(a, b): cell for a, row in enumerate(rows) for b, cell in enumerate(row)}
    found: Marks = ({}, {})
    for a, row in enumerate(rows):
        for b in range(1, len(row)):
            number = re.match(_NUMBER, grid[a, b])
            heads = (grid.get((a, 0), ""), grid.get((0, b), ""))
            image = next((m for m in map(_HEADING.match, heads) if m), None)
            axis = next((x for x in map(_axis_of, heads) if x), None)
            if number and image and axis:
                found[int(image[1]) - 1][axis] = float(number[1])
    return found if any(found) else None


def _axis_of(head: str) -> str | None:
    if "composition" in head:
        return "composition"
    return "quality" if "quality" in head else None


def _from_words(text: str) -> Marks | None:
    """The last mark of each axis that stands behind "image 1" and before the next image is named."""
    plain = _plain(text)
    found: Marks = ({}, {})
    headings = list(_HEADING.finditer(plain))
    for patterns in _PATTERNS:
        for place, heading in enumerate(headings):
            end = headings[place + 1].start() if place + 1 < len(headings) else len(plain)
            segment, mine = plain[heading.end() : end], found[int(heading[1]) - 1]
            for axis, pattern in patterns.items():
                marks = pattern.findall(segment)
                if marks:
                    mine[axis] = float(marks[-1])
        if sum(map(len, found)) == 2 * len(AXES):
            return found
    return found if any(found) else None


def _plain(text: str) -> str:
    """Lower case, without the signs of Markdown."""
    return re.sub(r"[*`#~]|__", "", text).lower().strip()
