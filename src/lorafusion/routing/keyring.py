"""Keyring: several keys for each LoRA: its name, its text, what the text begins with, its triggers."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.library.keys import Encoder, key_vectors
from lorafusion.library.naming import words_of_name
from lorafusion.library.store import KeyStore
from lorafusion.plan import Source
from lorafusion.routing.background import NEAREST, background, rivals, spread, symmetric
from lorafusion.routing.product import Product
from lorafusion.routing.quickly import quickly
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
_PARTS = re.compile(r"[,.;:\n|(]+")
_REMEMBERED = 20_000


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
        flat = [text for owned in texts for text in owned]
        self.count = len(sources)
        self.categories = [source.category.casefold() for source in sources]
        self.things = torch.tensor([category in THINGS for category in self.categories])
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
        self._keys = key_vectors(flat, self._encoder, KeyStore())
        self._product = Product(self._keys)
        self._owner = torch.tensor([i for i, owned in enumerate(texts) for _ in owned])
        ordinary = self._background.vectors
        found = against(
            (self._keys, ordinary, self._owner, torch.tensor([NEAREST, ASKS])), self._against
        )
        self._measured, self._asking = (found.mean, found.deviation), found.asking.T.contiguous()
        self._spans: dict[str, Tensor] = dict(zip(self._background.phrases, ordinary, strict=True))
        self._spans |= dict(zip(flat, self._keys, strict=True))
        self._known = dict(self._spans)

    def forget(self) -> None:
        """Let go of the vectors of all spans but keys and ordinary phrases."""
        self._spans = dict(self._known)

    def _against(self) -> Against:
        """How near ordinary phrases come to the keys, and which of them ask for a LoRA."""
        ordinary, measured = self._background.vectors, self._background.measure(self._keys)
        fits = symmetric(self._product(ordinary), self._background.measure(ordinary), measured)
        return Against(*measured, (self._best(fits) >= ASKS).T)

    def named(self, text: str) -> list[int]:
        """The LoRAs that have a key of just these words, whatever their endings."""
        return self._exact.get(stems(text), [])

    def quoted(self, text: str) -> list[int]:
        """The LoRAs that have a key of all these words, the small ones too."""
        return self._literal.get(_words(text), [])

    def scores(self, spans: Sequence[str]) -> tuple[Float[Tensor, "s n"], Float[Tensor, "s n"]]:
        """How well each span fits each LoRA, by the best of its keys.

        Returns:
            deviations from ordinary text [s, n], and cosines [s, n].
        """
        if not spans:
            return torch.zeros(0, self.count), torch.zeros(0, self.count)
        vectors = self._vectors(spans)
        keyed = self._product(vectors)
        near, at = self._background.nearest(vectors)
        fits = symmetric(keyed, spread(near), self._measured)
        cosines = self._best(keyed)
        ahead = (cosines - rivals(near, at, self._asking)) / self._background.unit
        return (1 - AHEAD) * self._best(fits) + AHEAD * ahead, cosines

    def _best(self, values: Float[Tensor, "s k"]) -> Float[Tensor, "s n"]:
        best = values.new_full((len(values), self.count), -torch.inf)
        return best.scatter_reduce(1, self._owner.expand(len(values), -1), values, "amax")

    def _vectors(self, spans: Sequence[str]) -> Float[Tensor, "s d"]:
        """Vectors of spans; those that were met before are remembered, the others encoded at once."""
        fresh = [text for text in dict.fromkeys(spans) if text not in self._spans]
        if len(self._spans) + len(fresh) > _REMEMBERED:
            self.forget()
            fresh = [text for text in dict.fromkeys(spans) if text not in self._spans]
        if fresh:
            rows = self._encoder.encode(fresh).to("cpu", torch.float32)
            self._spans.update(zip(fresh, rows, strict=True))
        return torch.stack([self._spans[text] for text in spans])


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
