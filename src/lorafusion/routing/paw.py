"""PAW: weights by how much the prompt changes when a LoRA's trigger words are taken out of it.

Tsoumplekas et al., W-Switch, arXiv:2606.03792, prompt-ablation weights: a_i = max(1 - cos(e(P), e(P - T_i)), 0.05),
where P - T_i is the prompt without the triggers of LoRA i, and w_i = a_i / sum_j a_j. As published, a LoRA without
triggers has a_i = 0.1, and one whose removal leaves fewer than five letters of the prompt has a_i = 2.

What differs, and why:
    e is whatever encoder is given (see `ptw`).
    `threshold` and `top_k` choose LoRAs by a_i; the paper starts from LoRAs that were chosen by hand and has neither.
    Prompts that are the same after removal are encoded once, so that a thousand absent LoRAs cost nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from lorafusion.library.keys import Encoder, encode_alone
from lorafusion.plan import Route, Source
from lorafusion.routing.cosine import cosines
from lorafusion.routing.ranked import ranked, shares
from lorafusion.routing.triggers import pattern, triggers_of

FLOOR = 0.05
"""The least importance of a LoRA that has triggers."""
UNSPOKEN = 0.1
"""The importance of a LoRA without triggers."""
ALL_OF_IT = 2.0
"""The importance of a LoRA whose triggers are the whole prompt."""
SHORTEST = 5
"""Letters of the shortest prompt that is still compared."""


def paw(
    prompt: str,
    entries: Sequence[Source],
    keys: Float[np.ndarray, "n d"],  # noqa: ARG001 - every router has these; here the prompt meets itself
    encoder: Encoder,
    *,
    threshold: float | None = None,
    top_k: int | None = None,
) -> Route:
    """Weigh LoRAs by how much of the prompt their trigger words carry.

    Args:
        prompt: encoded whole, and once more without the triggers of each LoRA that has some in it.
        entries: n LoRAs.
        keys: not used.
        encoder: encodes the prompts.
        threshold: the least importance a_i, 0.05 to 2, that a LoRA is chosen with.
        top_k: how many LoRAs to choose at most.

    Returns:
        Route; scores are the importances a_i, the weights of the chosen sum to 1.

    Raises:
        BadOption: top_k below 1, or a threshold that is not finite.
    """
    left = {entry.name: without(prompt, triggers_of(entry)) for entry in entries}
    whole = without(prompt, ())
    texts = [text for text in dict.fromkeys(left.values()) if text != whole and not _short(text)]
    importance = {text: ALL_OF_IT for text in left.values() if _short(text)} | {whole: 0.0}
    if texts:
        vectors = np.stack([encode_alone(text, encoder) for text in texts])
        near = cosines(encode_alone(prompt, encoder), vectors)
        importance |= dict(zip(texts, (1.0 - near).tolist(), strict=True))
    scores = [
        max(importance[left[entry.name]], FLOOR) if triggers_of(entry) else UNSPOKEN
        for entry in entries
    ]
    return ranked(
        prompt,
        entries,
        scores,
        lambda chosen: shares([scores[i] for i in chosen]),
        threshold=threshold,
        top_k=top_k,
    )


def without(prompt: str, words: Sequence[str]) -> str:
    """The prompt without these words, and without the commas and spaces that they leave behind."""
    for word in words:
        prompt = pattern(word).sub("", prompt)
    prompt = re.sub(r"\s*,(?:\s*,)+\s*", ", ", prompt)
    return " ".join(prompt.split()).strip(", ")


def _short(text: str) -> bool:
    return len(text) < SHORTEST
