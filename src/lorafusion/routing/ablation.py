"""Ablation: equation 1 without its cosine, without its softmax, or without both.

Choi, Im and Sung, "LoRA Fusion: Enhancing Image Generation", Mathematics 2024, 12, 3474, section 5: "The ablation
study clearly demonstrated that removing these components significantly reduced the effectiveness". The paper prints no
formula for what takes their place; a dot product and a division by the sum are the nearest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from lorafusion.errors import BadOption
from lorafusion.library.keys import Encoder, encode_alone, rows_of
from lorafusion.plan import Candidate, Route, Source
from lorafusion.routing.cosine import cosines, softmax


@runtime_checkable
class Lengthy(Protocol):
    """An encoder that can tell how long its vectors were before they were brought to length 1."""

    def lengths(self, texts: Sequence[str]) -> ArrayLike:
        """One length a text: [n]."""


def ablation(
    prompt: str,
    entries: Sequence[Source],
    keys: Float[np.ndarray, "n d"],
    encoder: Encoder,
    *,
    similarity: str = "cosine",
    normalise: str = "softmax",
) -> Route:
    """Weigh all LoRAs by softmax(S) or S / sum S, with S the cosine or the dot product of Q and K_i.

    With both defaults this is `cosine`. A dot product of sentence vectors may be large, and its softmax then
    chooses one LoRA; S / sum S may be negative. Neither is mended, for these are what the ablation is about.

    Args:
        prompt: encoded whole.
        entries: n LoRAs.
        keys: their key vectors [n, d].
        encoder: the one that made the keys; for the dot product one that knows lengths.
        similarity: "cosine" or "dot".
        normalise: "softmax" or "sum".

    Raises:
        BadOption: another word, an encoder without lengths, or scores that sum to 0.
    """
    if similarity not in ("cosine", "dot") or normalise not in ("softmax", "sum"):
        raise BadOption(
            f"similarity is {similarity!r} and normalise {normalise!r}; ablation knows cosine and dot, softmax "
            "and sum"
        )
    scores = cosines(encode_alone(prompt, encoder), keys)
    if similarity == "dot":
        scores = scores * _lengths(prompt, entries, encoder)
    weights = softmax(scores) if normalise == "softmax" else _by_sum(scores)
    order = sorted(range(len(entries)), key=lambda i: (-float(scores[i]), entries[i].name))
    candidates = (Candidate(entries[i], float(scores[i]), float(weights[i])) for i in order)
    return Route(prompt, tuple(candidates), f"ablation(similarity={similarity})")


def _lengths(prompt: str, entries: Sequence[Source], encoder: Encoder) -> Float[np.ndarray, " n"]:
    """|Q| |K_i|: [n]."""
    if not isinstance(encoder, Lengthy):
        raise BadOption(
            f"encoder {encoder.id!r} gives vectors of length 1, of which a dot product is the cosine; use a "
            "sentence-transformers model, such as minilm"
        )
    texts = [str(getattr(entry, "text", entry.name)) for entry in entries]
    found = rows_of(encoder.lengths([prompt, *texts])).astype(np.float64)
    return found[0] * found[1:]


def _by_sum(scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    total = float(scores.sum())
    if total == 0:
        raise BadOption("the scores sum to 0; normalise='sum' cannot divide by that; use softmax")
    return scores / total
