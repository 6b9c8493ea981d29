"""Background: how near ordinary phrases come to a vector, so that a score means the same everywhere.

A cosine of 0.5 is much for one key and little for another, and each encoder has a scale of its own.
Scores are therefore measured in deviations from what a few hundred ordinary phrases (``ordinary.txt``)
reach, from the side of the key and from the side of the phrase: adaptive symmetric normalisation,
Matejka et al., "Analysis of Score Normalization in Multilingual Speaker Recognition", Interspeech
2017, section 2.3.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

from jaxtyping import Float
from torch import Tensor

from lorafusion.library.keys import Encoder, key_vectors
from lorafusion.library.store import KeyStore

NEAREST = 100
"""Ordinary phrases that a vector is measured against: the nearest ones."""
SMALLEST = 1e-3
"""Least deviation, for an encoder that tells nothing apart."""


@lru_cache(maxsize=1)
def ordinary_phrases() -> tuple[str, ...]:
    """What prompts are full of and no LoRA needs to be called for."""
    text = resources.files("lorafusion.routing").joinpath("ordinary.txt").read_text("utf-8")
    return tuple(text.split("\n")[:-1])


class Background:
    """The ordinary phrases as one encoder sees them; their vectors are stored like keys.

    Args:
        encoder: also the one of all vectors that are measured.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._vectors = key_vectors(ordinary_phrases(), encoder, KeyStore())

    def measure(
        self, rows: Float[Tensor, "n d"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Mean and deviation of the cosines of each row with its nearest ordinary phrases: [n], [n]."""
        near = (rows @ self._vectors.T).topk(min(NEAREST, len(self._vectors)), dim=1).values
        return near.mean(1), near.std(1).clamp_min(SMALLEST)


def symmetric(
    cosines: Float[Tensor, "s n"],
    spans: tuple[Float[Tensor, " s"], Float[Tensor, " s"]],
    keys: tuple[Float[Tensor, " n"], Float[Tensor, " n"]],
) -> Float[Tensor, "s n"]:
    """The mean of both sides' deviations: ((c - m_s) / d_s + (c - m_n) / d_n) / 2, [s, n]."""
    by_span = (cosines - spans[0][:, None]) / spans[1][:, None]
    by_key = (cosines - keys[0]) / keys[1]
    return (by_span + by_key) / 2
