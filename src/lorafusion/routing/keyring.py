"""Keyring: several keys for each LoRA: its name, its text, what the text begins with, its triggers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from lorafusion.library.keys import Encoder, key_vectors, rows_of
from lorafusion.library.naming import words_of_name
from lorafusion.library.store import KeyStore
from lorafusion.plan import Source
from lorafusion.routing.background import NEAREST, RIVALS, background, rivals, spread, symmetric
from lorafusion.routing.product import Product
from lorafusion.routing.quickly import Quickly, quickly
from lorafusion.routing.reading import read
from lorafusion.routing.rings import Against, against
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
_READ = 2_000
"""LoRAs up to which their keys are read in phrases, like a prompt: a fraction of a second, each time."""


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
        texts = [key_texts(source) for source in sources]
        flat = list(dict.fromkeys(text for owned in texts for text in owned))  # many have the same
        self.count = len(sources)
        self.categories = [source.category.casefold() for source in sources]
        self.things = np.array([category in THINGS for category in self.categories], bool)
        by_name = sorted(range(self.count), key=lambda i: sources[i].name)
        self.ranks = np.argsort(np.array(by_name, np.int64))
        self._exact: dict[tuple[str, ...], list[int]] = {}
        self._literal: dict[tuple[str, ...], list[int]] = {}
        for i, owned in enumerate(texts):
            for words in {stems(text) for text in owned} - {()}:
                self._exact.setdefault(words, []).append(i)
            for words in {_words(text) for text in owned} - {()}:
                self._literal.setdefault(words, []).append(i)
        called = ((words_of_name(one.name), *getattr(one, "triggers", ())) for one in sources)
        self.framing = FRAMES & {name.casefold() for names in called for name in names}
        vocabulary = frozenset(word for text in flat for word in stems(text))
        self.spelling = Spelling(vocabulary, encoder)
        self._encoder = quickly(encoder)
        self._background = background(encoder)
        keys = torch.from_numpy(key_vectors(flat, self._encoder, KeyStore()))
        self._product = Product(keys)
        self._columns = _columns(texts, flat)
        self._keyless = [i for i, owned in enumerate(texts) if not owned]  # of blank names
        ordinary = self._background.vectors
        owners = torch.from_numpy(np.stack(self._columns))
        found = against(
            (keys, ordinary, owners, torch.tensor([NEAREST, ASKS])), lambda: self._against(keys)
        )
        self._measured = found.mean.numpy(), found.deviation.numpy()
        self._asking = np.ascontiguousarray(found.asking.T.numpy())
        self._known: dict[str, Tensor] = dict(zip(self._background.phrases, ordinary, strict=True))
        self._known |= dict(zip(flat, keys, strict=True)) | self._phrases(flat)
        self._spans = dict(self._known)
        self._near: dict[str, tuple[Array, ...]] = {}

    def forget(self) -> None:
        """Let go of all spans but keys, phrases of them and ordinary ones."""
        self._spans = dict(self._known)
        self._near = {text: near for text, near in self._near.items() if text in self._known}

    def _phrases(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Phrase of the keys -> its vector, kept like a key: a third of what prompts say is among them.

        An encoder without a quick way would take minutes for those of a large library.
        """
        if self.count > _READ or not isinstance(self._encoder, Quickly):
            return {}
        said = {span.text.casefold() for text in texts for span in read(text)}
        phrases = sorted(said - self._known.keys() - set(texts))
        if not phrases:
            return {}
        rows = torch.from_numpy(key_vectors(phrases, self._encoder, KeyStore()))
        return dict(zip(phrases, rows, strict=True))

    def _against(self, keys: Float[Tensor, "k d"]) -> Against:
        """How near ordinary phrases come to the keys, and which of them ask for a LoRA."""
        ordinary, measured = self._background.vectors, self._background.measure(keys)
        by_phrase, by_key = _arrays(self._background.measure(ordinary)), _arrays(measured)
        fits = symmetric(self._product(ordinary).numpy(), by_phrase, by_key)
        return Against(*measured, torch.from_numpy((self._best(fits) >= ASKS).T))

    def named(self, text: str) -> list[int]:
        """The LoRAs that have a key of just these words, whatever their endings."""
        return self._exact.get(stems(text), [])

    def quoted(self, text: str) -> list[int]:
        """The LoRAs that have a key of all these words, the small ones too."""
        return self._literal.get(_words(text), [])

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
        keyed = self._product(vectors).numpy()
        near, at, mean, deviation = self._beside(spans, vectors)
        fits = symmetric(keyed, (mean, deviation), self._measured)
        cosines = self._best(keyed)
        ahead = cosines - rivals(near, at, self._asking)
        return (1 - AHEAD) * self._best(fits) + AHEAD * (ahead / self._background.unit), cosines

    def _best(self, values: Float[np.ndarray, "s k"]) -> Float[np.ndarray, "s n"]:
        best = values.take(self._columns[0], axis=1)
        for column in self._columns[1:]:
            np.maximum(best, values.take(column, axis=1), out=best)
        best[:, self._keyless] = -np.inf
        return best

    def _beside(self, spans: Sequence[str], vectors: Float[Tensor, "s d"]) -> list[Array]:
        """Spans beside ordinary phrases: the nearest, which these are, mean and deviation; remembered.

        Returns:
            [s, r], [s, r], [s] and [s].
        """
        fresh = [row for row, text in enumerate(spans) if text not in self._near]
        if fresh:
            near, at = self._background.nearest(vectors[fresh])
            parts = (near[:, :RIVALS], at[:, :RIVALS], *spread(near))
            told = zip(*(part.numpy() for part in parts), strict=True)
            self._near.update(zip([spans[row] for row in fresh], told, strict=True))
        return [np.array(part) for part in zip(*(self._near[text] for text in spans), strict=True)]

    def _vectors(self, spans: Sequence[str]) -> Float[Tensor, "s d"]:
        """Vectors of spans; those that were met before are remembered, the others encoded at once."""
        fresh = [text for text in dict.fromkeys(spans) if text not in self._spans]
        if len(self._spans) + len(fresh) > _REMEMBERED:
            self.forget()
            fresh = [text for text in dict.fromkeys(spans) if text not in self._spans]
        if fresh:
            rows = torch.from_numpy(rows_of(self._encoder.encode(fresh)))
            self._spans.update(zip(fresh, rows, strict=True))
        return torch.stack([self._spans[text] for text in spans])


def _columns(texts: Sequence[Sequence[str]], keys: Sequence[str]) -> list[Int[np.ndarray, " n"]]:
    """Which key is the first, the second ... of each LoRA; one with fewer has its last again and again."""
    places = {key: i for i, key in enumerate(keys)}
    owned = [[places[text] for text in each] or [0] for each in texts]
    most = max(map(len, owned), default=1)
    filled = [each + each[-1:] * (most - len(each)) for each in owned]
    return list(np.array(filled, np.int64).reshape(len(texts), most).T.copy())


def _arrays(
    pair: tuple[Float[Tensor, " n"], Float[Tensor, " n"]],
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    return pair[0].numpy(), pair[1].numpy()


_RINGS: list[tuple[tuple[Source, ...], Encoder, Keyring]] = []
_RINGS_MOST = 4


def keyring(sources: tuple[Source, ...], encoder: Encoder) -> Keyring:
    """The keyring of these very LoRAs and encoder; the last few are remembered."""
    for known, by, ring in _RINGS:
        same = by is encoder and len(known) == len(sources)
        if same and all(a is b for a, b in zip(known, sources, strict=True)):
            return ring
    ring = Keyring(sources, encoder)
    _RINGS.insert(0, (sources, encoder, ring))
    del _RINGS[_RINGS_MOST:]
    return ring
