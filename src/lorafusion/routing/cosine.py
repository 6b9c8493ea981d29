"""Cosine: one query for the whole prompt, and a softmax over its cosines with the keys.

Choi, Im and Sung, "LoRA Fusion: Enhancing Image Generation", Mathematics 2024, 12, 3474,
section 3.3, equation 1 and algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from lorafusion.errors import BadOption
from lorafusion.library.keys import Encoder, encode_alone
from lorafusion.plan import Candidate, Route, Source

TINY = 1e-12
"""Lengths below this count as none."""


def cosine(
    prompt: str,
    entries: Sequence[Source],
    keys: Float[np.ndarray, "n d"],
    encoder: Encoder,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    threshold: float | None = None,
) -> Route:
    """Weigh LoRAs by w_i = exp(S_i) / sum_j exp(S_j) with S_i = cos(Q, K_i).

    By default this is the paper's rule: all LoRAs take part, at temperature 1. The options narrow
    it: first the threshold, then the best k, then the softmax over what is left.

    Args:
        prompt: encoded whole, into one query Q = f_E(P).
        entries: n LoRAs.
        keys: their key vectors [n, d].
        encoder: the one that made the keys.
        temperature: divides the cosines; below 1 the best LoRAs stand out more.
        top_k: how many LoRAs to choose at most; of equal scores the first by name.
        threshold: the least cosine, -1 to 1, that a LoRA is chosen with.

    Returns:
        Route with a candidate for each entry. The weights of the chosen sum to 1; with a threshold
        there may be none.

    Raises:
        BadOption: temperature not above 0, top_k below 1, or a value that is not finite.
    """
    _check(temperature, top_k, threshold)
    query = encode_alone(prompt, encoder)
    scores = [float(score) for score in cosines(query, keys)]
    order = sorted(range(len(entries)), key=lambda i: (-scores[i], entries[i].name))
    reasons = _left_out([scores[i] for i in order], top_k, threshold)
    chosen = [i for i, reason in zip(order, reasons, strict=True) if not reason]
    shares = softmax_of_cosines(query, keys[chosen], temperature)
    weights = dict(zip(chosen, shares.tolist(), strict=True))
    candidates = (
        Candidate(entries[i], scores[i], weights.get(i, 0.0), left_out=reason)
        for i, reason in zip(order, reasons, strict=True)
    )
    return Route(prompt, tuple(candidates), f"cosine(temperature={temperature})")


def softmax_of_cosines(
    query: Float[np.ndarray, " d"], keys: Float[np.ndarray, "n d"], temperature: float = 1.0
) -> Float[np.ndarray, " n"]:
    """Equation 1's weights: softmax over i of cos(Q, K_i) / temperature, in float64: [n]."""
    return softmax(cosines(query, keys) / temperature)


def softmax(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """exp(v_i) / sum_j exp(v_j): [n]."""
    shares = np.exp(values - values.max(initial=-np.inf))
    return shares / shares.sum()


def cosines(
    query: Float[np.ndarray, " d"], keys: Float[np.ndarray, "n d"]
) -> Float[np.ndarray, " n"]:
    """Q · K_i / (|Q| |K_i|) in float64: [n]; 0 where a vector has no length."""
    # Row by row and not as a matrix product, so that a score does not depend on the other keys.
    return (_unit(keys) * _unit(query)).sum(-1).clip(-1.0, 1.0)


def _unit(rows: Float[np.ndarray, "*n d"]) -> Float[np.ndarray, "*n d"]:
    rows = rows.astype(np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), TINY)


def _left_out(scores: Sequence[float], top_k: int | None, threshold: float | None) -> list[str]:
    """For falling scores: why each LoRA is left out, or "" where it is chosen."""
    reasons = []
    for place, score in enumerate(scores):
        if threshold is not None and score < threshold:
            reasons.append(f"score {score:.3g} is under the threshold {threshold:.3g}")
        elif top_k is not None and place >= top_k:
            reasons.append(f"score {score:.3g} is not among the best {top_k}")
        else:
            reasons.append("")
    return reasons


def _check(temperature: float, top_k: int | None, threshold: float | None) -> None:
    if not (math.isfinite(temperature) and temperature > 0):
        raise BadOption(f"temperature is {temperature}; it must be a finite number above 0")
    if top_k is not None and top_k < 1:
        raise BadOption(f"top_k is {top_k}; it must be at least 1")
    if threshold is not None and not math.isfinite(threshold):
        raise BadOption(f"threshold is {threshold}; it must be a finite number, -1 to 1")
