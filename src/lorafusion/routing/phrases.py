"""Phrases: the words of a prompt that fit a LoRA best, as evidence for people.

They explain a route and never change a weight.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from lorafusion.library.keys import Encoder, rows_of
from lorafusion.plan import Route

LONGEST = 4
"""Words of the longest phrase."""
MOST = 200
"""Phrases that are encoded at most; of a longer prompt the short ones, which come first."""
NEAR = 0.02
"""A shorter phrase whose cosine is within this of the best is preferred."""

_STOP_WORDS = """
a an and are as at be by for from her his in into is it its my of on or our over that the their
there this to under up was were while who with your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words that no phrase begins or ends with."""

_CLAUSE = re.compile(r"[^,.;:!?()\[\]{}|\"\n]+")
_WORD = re.compile(r"\w+(?:['’-]\w+)*")  # noqa: RUF001 - prompts have typographic apostrophes


def with_phrases(
    route: Route, keys: Mapping[str, Float[np.ndarray, " d"]], encoder: Encoder
) -> Route:
    """The same route with the best phrase at each chosen LoRA that has none yet.

    Args:
        keys: name of a LoRA -> its key vector [d].
        encoder: the one that made the keys; it is called once.
    """
    names = [candidate.name for candidate in route.chosen if not candidate.phrase]
    spans = spans_of(route.prompt)
    if not names or not spans:
        return route
    vectors = rows_of(encoder.encode(spans))
    fits = vectors @ np.stack([keys[name] for name in names]).T  # [spans, names]
    best = {name: spans[_best(fits[:, i], spans)] for i, name in enumerate(names)}
    return route.changed(
        lambda candidate: replace(candidate, phrase=best.get(candidate.name, candidate.phrase))
    )


def spans_of(prompt: str) -> list[str]:
    """Runs of one to four words inside one clause, as they are written, the short ones first.

    None begins or ends with a stop word; each is listed once; at most `MOST` are returned.
    """
    found: dict[str, str] = {}
    for length in range(1, LONGEST + 1):
        for clause in _CLAUSE.finditer(prompt):
            words = list(_WORD.finditer(clause.group()))
            for first, last in zip(words, words[length - 1 :], strict=False):
                span = clause.group()[first.start() : last.end()]
                if not (_is_stop(first.group()) or _is_stop(last.group())):
                    found.setdefault(" ".join(span.split()).casefold(), " ".join(span.split()))
    return list(found.values())[:MOST]


def _best(fits: Float[np.ndarray, " s"], spans: list[str]) -> int:
    """Of the spans that fit nearly as well as the best: the shortest, the best, the first."""
    values = fits.tolist()
    near = [i for i, value in enumerate(values) if value >= max(values) - NEAR]
    return min(near, key=lambda i: (len(spans[i].split()), -values[i], i))


def _is_stop(word: str) -> bool:
    return word.casefold() in STOP_WORDS
