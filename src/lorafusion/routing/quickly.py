"""Quickly: an encoder's faster way as an encoder of its own, whose vectors are stored apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from numpy.typing import ArrayLike

from lorafusion.library.keys import Encoder


class Quickly:
    """What an encoder's `quick` gives; it never mixes with the vectors of its `encode`.

    Args:
        encoder: has an `id`.
        quick: texts -> unit rows, nearly those of `encode`.

    Attributes:
        passing: the same for vectors that are not stored, in whatever way is the nearest at hand.
    """

    def __init__(self, encoder: Encoder, quick: Callable[..., ArrayLike]) -> None:
        self.id = f"{encoder.id}, quick" if encoder.id else ""
        self._quick = quick
        self.passing: Callable[..., ArrayLike] = getattr(encoder, "passing", quick)

    def encode(self, texts: Sequence[str]) -> ArrayLike:
        """One row a text: [n, d], each of length 1; as the encoder's `quick` has them."""
        return self._quick(texts)


def quickly(encoder: Encoder) -> Encoder:
    """The faster way of an encoder that has one, else the encoder."""
    quick = getattr(encoder, "quick", None)
    return encoder if quick is None else Quickly(encoder, quick)
