"""Keyring: several keys for each LoRA: its name, its text, what the text begins with, its triggers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import is_
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from lorafusion.library.keys import Encoder, key_vectors, rows_of
from lorafusion.library.naming import words_of_name
from lorafusion.library.store import KeyStore
from lorafusion.plan import Source
from lorafusion.routing.arithmetic import Arithmetic, arithmetic, lasting
from lorafusion.routing.background import NEAREST, RIVALS, background, measure, rivals, symmetric
from lorafusion.routing.called import Called
from lorafusion.routing.quickly import Quickly, quickly
from lorafusion.routing.reading import read
from lorafusion.routing.rings import Ring, kept, mark
from lorafusion.routing.spelling import Spelling
from lorafusion.routing.words import FRAMES, WORD, means, stem

THINGS = frozenset({"character", "clothing", "object", "background"})
"""Categories of things: the last word of a phrase says which thing it is about, so that an "Asian
elephant" asks for no Asian. A style may well stand before another word."""
AHEAD = 0.5
"""Share in a score of how far a LoRA is ahead of the nearest ordinary phrase."""
ASKS = 5.0
"""Deviations from which on an ordinary phrase is itself another word for a LoRA."""
SHORT = 8
"""Words up to which the beginning of a text is a key of its own."""
Array = NDArray[Any]
_PARTS = re.compile(r"[,.;:\n|(]+")
_REMEMBERED = 20_000
_STORED = 200
"""LoRAs from which on what was found out about their keys is stored."""
_LARGE = 2_000
"""LoRAs up to which their keys are read in phrases, like a prompt, which takes longer than all else."""


def key_texts(source: Source) -> tuple[str, ...]:
    """The texts that a prompt's phrases are compared with, each once, in lower case."""
    text = getattr(source, "text", "") or words_of_name(source.name)
    opening = next((part.strip() for part in _PARTS.split(text) if part.strip()), "")
    texts = [
        text,
        *getattr(source, "triggers", ()),
        words_of_name(source.name),
        *([opening] if len(opening.split()) <= SHORT else []),
    ]
    plain = (" ".join(each.split()).casefold() for each in texts)
    return tuple(dict.fromkeys(each for each in plain if each))


def stems(text: str) -> tuple[str, ...]:
    """The words of a text that mean something, without endings."""
    return tuple(stem(word) for word in WORD.findall(text) if means(word))


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.casefold() for word in WORD.findall(text))


class Keyring:
    """The keys of a library as one encoder sees them, and how far away ordinary phrases are.

    Args:
        sources: the n LoRAs.
        encoder: makes the vectors of keys and of spans.

    Attributes:
        framing: words that else only frame a phrase, as "sketch" does, but name a LoRA here.
    """

    def __init__(self, sources: Sequence[Source], encoder: Encoder) -> None:
        self.count = len(sources)
        self.categories = [source.category.casefold() for source in sources]
        self.things = np.array([category in THINGS for category in self.categories], bool)
        by_name = sorted(range(self.count), key=lambda i: sources[i].name)
        self.ranks = np.argsort(np.array(by_name, np.int64))
        self._encoder = quickly(encoder)
        self._background = background(encoder)
        name = self._mark(sources)
        by = lasting if name else arithmetic
        ring = kept(name, lambda: self._made(sources, by()), Ring.arrays, Ring.of)
        self.framing = frozenset(ring.framing)
        self.spelling = Spelling(ring.vocabulary, encoder)
        self._ring, self._columns = ring, list(ring.columns)
        self._product = arithmetic().comparing(ring.keys)
        self._known = dict(zip(self._background.phrases, self._background.vectors, strict=True))
        self._known |= dict(zip(ring.texts, ring.keys, strict=True))
        self._known |= dict(zip(ring.phrases, ring.said, strict=True))
        self._spans = dict(self._known)
        self._near: dict[str, tuple[Array, ...]] = {}

    def forget(self) -> None:
        """Let go of all spans but keys, phrases of them and ordinary ones."""
        self._spans = dict(self._known)
        self._near = {text: near for text, near in self._near.items() if text in self._known}

    def _mark(self, sources: Sequence[Source]) -> str:
        """What the ring of these LoRAs is stored under; "" for few, and for an encoder that has no id."""
        if self.count < _STORED or not self._encoder.id:
            return ""
        told = [
            (one.name, getattr(one, "text", ""), getattr(one, "triggers", ())) for one in sources
        ]
        return mark(self._encoder.id, self._background.phrases, NEAREST, ASKS, told)

    def _made(self, sources: Sequence[Source], by: Arithmetic) -> Ring:
        """The ring of these LoRAs, worked out."""
        owned = [key_texts(source) for source in sources]
        flat = list(dict.fromkeys(text for texts in owned for text in texts))  # many have the same
        keys = key_vectors(flat, self._encoder, KeyStore())
        columns = _columns(owned, flat)
        keyless = np.array(
            [i for i, texts in enumerate(owned) if not texts], np.int64
        )  # blank names
        called = ((words_of_name(one.name), *getattr(one, "triggers", ())) for one in sources)
        ordinary = self._background.vectors
        mean, deviation = measure(keys, ordinary, by)
        fits = symmetric(
            by.comparing(keys)(ordinary), measure(ordinary, ordinary, by), (mean, deviation)
        )
        phrases = self._phrases(flat)
        return Ring(
            texts=flat,
            keys=keys,
            columns=columns,
            keyless=keyless,
            exact=Called.of([map(stems, texts) for texts in owned]),
            literal=Called.of([map(_words, texts) for texts in owned]),
            framing=sorted(FRAMES & {name.casefold() for names in called for name in names}),
            vocabulary=sorted({word for text in flat for word in stems(text)}),
            phrases=phrases,
            said=key_vectors(phrases, self._encoder, KeyStore()) if phrases else keys[:0],
            mean=mean,
            deviation=deviation,
            asking=_best(fits, columns, keyless) >= ASKS,
        )

    def _phrases(self, texts: Sequence[str]) -> list[str]:
        """The phrases of the keys, kept like keys: a third of what prompts say is among them.

        An encoder without a quick way would take minutes for those of a large library.
        """
        if self.count > _LARGE or not isinstance(self._encoder, Quickly):
            return []
        said = {span.text.casefold() for text in texts for span in read(text)}
        return sorted(said - set(self._background.phrases) - set(texts))

    def named(self, text: str) -> list[int]:
        """The LoRAs that have a key of just these words, whatever their endings."""
        return self._ring.exact.by(stems(text))

    def quoted(self, text: str) -> list[int]:
        """The LoRAs that have a key of all these words, the small ones too."""
        return self._ring.literal.by(_words(text))

    def scores(
        self, spans: Sequence[str]
    ) -> tuple[Float[np.ndarray, "s n"], Float[np.ndarray, "s n"]]:
        """How well each span fits each LoRA, by the best of its keys.

        Returns:
            deviations from ordinary text [s, n], and cosines [s, n].
        """
        if not spans:
            return np.zeros((0, self.count), np.float32), np.zeros((0, self.count), np.float32)
        vectors = self._vectors(spans)
        keyed = self._product(vectors)
        near, at, mean, deviation = self._beside(spans, vectors)
        ring, columns = self._ring, self._columns
        fits = symmetric(keyed, (mean, deviation), (ring.mean, ring.deviation))
        cosines = _best(keyed, columns, ring.keyless)
        ahead = (cosines - rivals(near, at, ring.asking)) / self._background.unit
        return (1 - AHEAD) * _best(fits, columns, ring.keyless) + AHEAD * ahead, cosines

    def _beside(self, spans: Sequence[str], vectors: Float[np.ndarray, "s d"]) -> list[Array]:
        """Spans beside ordinary phrases: the nearest, which these are, mean and deviation; remembered.

        Returns:
            [s, r], [s, r], [s] and [s].
        """
        fresh = [row for row, text in enumerate(spans) if text not in self._near]
        if fresh:
            near, at = self._background.nearest(vectors[fresh])
            parts = (near[:, :RIVALS], at[:, :RIVALS], *self._background.spread(near))
            told = zip(*parts, strict=True)
            self._near.update(zip([spans[row] for row in fresh], told, strict=True))
        return [np.array(part) for part in zip(*(self._near[text] for text in spans), strict=True)]

    def _vectors(self, spans: Sequence[str]) -> Float[np.ndarray, "s d"]:
        """Vectors of spans; those that were met before are remembered, the others encoded at once."""
        fresh = [text for text in dict.fromkeys(spans) if text not in self._spans]
        if len(self._spans) - len(self._known) + len(fresh) > _REMEMBERED:
            self.forget()
            fresh = [text for text in dict.fromkeys(spans) if text not in self._spans]
        if fresh:
            encode = getattr(self._encoder, "passing", self._encoder.encode)
            self._spans.update(zip(fresh, rows_of(encode(fresh)), strict=True))
        return np.stack([self._spans[text] for text in spans])


def _best(
    values: Float[np.ndarray, "s k"],
    columns: Sequence[Int[np.ndarray, " n"]] | Int[np.ndarray, "m n"],
    keyless: Int[np.ndarray, " j"],
) -> Float[np.ndarray, "s n"]:
    """The best of each LoRA's keys; minus infinity where it has none."""
    best = values.take(columns[0], axis=1)
    for column in columns[1:]:
        np.maximum(best, values.take(column, axis=1), out=best)
    best[:, keyless] = -np.inf
    return best


def _columns(texts: Sequence[Sequence[str]], keys: Sequence[str]) -> Int[np.ndarray, "m n"]:
    """Which key is the first, the second ... of each LoRA; one with fewer has its last again and again."""
    places = {key: i for i, key in enumerate(keys)}
    owned = [[places[text] for text in each] or [0] for each in texts]
    most = max(map(len, owned), default=1)
    filled = [each + each[-1:] * (most - len(each)) for each in owned]
    return np.array(filled, np.int64).reshape(len(texts), most).T.copy()


_RINGS: list[tuple[tuple[Source, ...], Encoder, Keyring]] = []
_RINGS_MOST = 4


def keyring(sources: tuple[Source, ...], encoder: Encoder) -> Keyring:
    """The keyring of these very LoRAs and encoder; the last few are remembered."""
    for known, by, ring in _RINGS:
        same = by is encoder and len(known) == len(sources)
        if same and all(map(is_, known, sources)):
            return ring
    ring = Keyring(sources, encoder)
    _RINGS.insert(0, (sources, encoder, ring))
    del _RINGS[_RINGS_MOST:]
    return ring
