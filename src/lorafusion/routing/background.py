"""Background: how near ordinary phrases come to a vector, so that a score means the same everywhere.

A cosine of 0.5 is much for one key and little for another, and each encoder has a scale of its own.
Scores are therefore measured in deviations from what a few hundred ordinary phrases (``ordinary.txt``)
reach, from the side of the key and from the side of the phrase: adaptive symmetric normalisation,
Matejka et al., "Analysis of Score Normalization in Multilingual Speaker Recognition", Interspeech
2017, section 2.3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from importlib import resources

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from lorafusion.library.keys import Encoder, key_vectors, rows_of
from lorafusion.library.store import KeyStore
from lorafusion.routing.arithmetic import Arithmetic, arithmetic, lasting
from lorafusion.routing.rings import Arrays, kept, mark
from lorafusion.routing.words import WORD, stem

RIVALS = 8
"""Ordinary phrases that are looked at to find one that is no other word for a LoRA."""
NEAREST = 100
"""Ordinary phrases that a vector is measured against: the nearest ones."""
_EVERY = 4
SMALLEST = 1e-3
"""Least deviation, for an encoder that tells nothing apart."""


@lru_cache(maxsize=1)
def ordinary_phrases() -> tuple[str, ...]:
    """What prompts are full of and no LoRA needs to be called for."""
    text = resources.files("lorafusion.routing").joinpath("ordinary.txt").read_text("utf-8")
    return tuple(text.split("\n")[:-1])


@lru_cache(maxsize=1)
def ordinary_words() -> frozenset[str]:
    """The stems of all words of the ordinary phrases."""
    return frozenset(stem(word) for text in ordinary_phrases() for word in WORD.findall(text))


class Background:
    """The ordinary phrases as one encoder sees them; their vectors are stored like keys.

    Args:
        encoder: also the one of all vectors that are measured. One that is not quick is asked for one
            phrase in four.

    Attributes:
        phrases: those that it was asked for.
        vectors: theirs, [o, d].
    """

    def __init__(self, encoder: Encoder) -> None:
        quick = getattr(encoder, "quick", None)
        # All at once takes a second; one by one, as keys are made and stored, a quarter of a minute
        # with a small encoder and far more with a pipeline's: then every few of them must do.
        self.phrases = ordinary_phrases() if quick else ordinary_phrases()[::_EVERY]
        self._arithmetic = arithmetic()

        name = mark(encoder.id, self.phrases, NEAREST, bool(quick)) if encoder.id else ""
        found = kept(name, lambda: self._made(encoder, quick), _same, _same)
        self.vectors: Float[np.ndarray, "o d"] = found["vectors"]
        self._product = self._arithmetic.comparing(self.vectors)
        self.unit = float(found["unit"][0])

    def _made(self, encoder: Encoder, quick: Callable[..., ArrayLike] | None) -> Arrays:
        """Its vectors, and the mean deviation of theirs."""
        vectors = (
            _together(self.phrases, encoder.id, quick)
            if quick
            else key_vectors(self.phrases, encoder, KeyStore())
        )
        by = lasting() if encoder.id else self._arithmetic
        deviation = measure(vectors, vectors, by)[1]
        return {"vectors": vectors, "unit": by.spread(deviation[None])[0]}

    def nearest(
        self, rows: Float[np.ndarray, "n d"]
    ) -> tuple[Float[np.ndarray, "n r"], Int[np.ndarray, "n r"]]:
        """Cosines of each row with its nearest ordinary phrases, the nearest first, and which these are."""
        return self._arithmetic.nearest(self._product(rows), min(NEAREST, len(self.phrases)))

    def spread(
        self, near: Float[np.ndarray, "n r"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Mean and deviation of each row of cosines: [n], [n]."""
        return _spread(near, self._arithmetic)


def measure(
    rows: Float[np.ndarray, "n d"], ordinary: Float[np.ndarray, "o d"], by: Arithmetic
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Mean and deviation of the cosines of each row with its nearest ordinary phrases: [n], [n]."""
    near = by.nearest(by.comparing(ordinary)(rows), min(NEAREST, len(ordinary)))[0]
    return _spread(near, by)


def _spread(
    near: Float[np.ndarray, "n r"], by: Arithmetic
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    mean, deviation = by.spread(near)
    return mean, np.maximum(deviation, SMALLEST, dtype=np.float32)


def rivals(
    values: Float[np.ndarray, "s r"], at: Int[np.ndarray, "s r"], asking: Bool[np.ndarray, "o n"]
) -> Float[np.ndarray, "s n"]:
    """Cosine of each row with the nearest ordinary phrase that does not ask for the LoRA: [s, n].

    Args:
        values: of rows with their nearest ordinary phrases, as `Background.nearest` gives them.
        at: which phrases these are.
        asking: which ordinary phrases ask for which of n LoRAs themselves.
    """
    last = min(RIVALS, values.shape[1]) - 1
    found = np.repeat(values[:, :1], asking.shape[1], axis=1)
    rows, loras = np.nonzero(asking[at[:, 0]])  # few: for all others it is the nearest
    asked = asking[at[rows, :last], loras[:, None]]
    # Where all of the nearest ask for it, the last of them stands for those beyond.
    places = np.where(asked.all(1), last, asked.argmin(1)) if last else 0
    found[rows, loras] = values[rows, places]
    return found


def _together(
    texts: Sequence[str], ident: str, quick: Callable[..., ArrayLike]
) -> Float[np.ndarray, "o d"]:
    """The vectors of texts that were encoded all at once, from the store or else now: [o, d].

    Their last bits depend on what is encoded beside them, so that they are stored as vectors of
    these very texts together and mix with no others.
    """
    digest = sha256("\n".join(texts).encode()).hexdigest()[:16]
    name = f"{ident}, together {digest}" if ident else ""
    store = KeyStore()
    known = store.read(name, texts)
    if len(known) < len(texts):
        known = dict(zip(texts, rows_of(quick(texts)), strict=True))
        store.write(name, known)
    return np.stack([known[text] for text in texts])


_BACKGROUNDS: list[tuple[Encoder, Background]] = []
_BACKGROUNDS_MOST = 4


def background(encoder: Encoder) -> Background:
    """The background of this very encoder; the last few are remembered."""
    for by, known in _BACKGROUNDS:
        if by is encoder:
            return known
    made = Background(encoder)
    _BACKGROUNDS.insert(0, (encoder, made))
    del _BACKGROUNDS[_BACKGROUNDS_MOST:]
    return made


def _same(arrays: Arrays) -> Arrays:
    return arrays


def symmetric(
    cosines: Float[np.ndarray, "s n"],
    spans: tuple[Float[np.ndarray, " s"], Float[np.ndarray, " s"]],
    keys: tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]],
) -> Float[np.ndarray, "s n"]:
    """The mean of both sides' deviations: ((c - m_s) / d_s + (c - m_n) / d_n) / 2, [s, n]."""
    by_span = (cosines - spans[0][:, None]) / spans[1][:, None]
    by_key = (cosines - keys[0]) / keys[1]
    return (by_span + by_key) / 2
