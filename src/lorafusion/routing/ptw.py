"""PTW: weights in proportion to the cosine of the prompt with each LoRA's trigger words.

Tsoumplekas et al., W-Composite, arXiv:2606.03792, prompt-trigger weights: w_i = cos(e(P), e(T_i)) / sum_j
cos(e(P), e(T_j)), where T_i are the triggers joined by commas; a LoRA without triggers has weight 0.

What differs, and why:
    e is whatever encoder is given, since the published one (the mean of CLIP's last hidden state over all 77 tokens,
        padding included) is one encoder among others here.
    A cosine below 0 counts as 0, since the published rule gives it a negative share.
    `threshold` and `top_k` choose LoRAs; the paper starts from LoRAs that were chosen by hand and has neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from lorafusion.library.keys import Encoder, encode_alone
from lorafusion.plan import Route, Source
from lorafusion.routing.cosine import cosines
from lorafusion.routing.ranked import ranked, shares
from lorafusion.routing.triggers import triggers_of


def ptw(
    prompt: str,
    entries: Sequence[Source],
    keys: Float[np.ndarray, "n d"],  # noqa: ARG001 - every router has these; here triggers are the keys
    encoder: Encoder,
    *,
    threshold: float | None = None,
    top_k: int | None = None,
) -> Route:
    """Weigh LoRAs by how near the prompt is to their trigger words.

    Args:
        prompt: encoded whole.
        entries: n LoRAs.
        keys: not used.
        encoder: encodes the prompt, and the triggers when they are first seen.
        threshold: the least cosine, -1 to 1, that a LoRA is chosen with.
        top_k: how many LoRAs to choose at most.

    Returns:
        Route; the weights of the chosen sum to 1, where any has one.

    Raises:
        BadOption: top_k below 1, or a threshold that is not finite.
    """
    joined = [", ".join(triggers_of(entry)) for entry in entries]
    spoken = tuple(dict.fromkeys(text for text in joined if text))
    found = {"": 0.0}
    if spoken:
        # mypy cannot see that an encoder, an ordinary object, has a hash
        made = _vectors(spoken, encoder)  # type: ignore[arg-type]
        near = cosines(encode_alone(prompt, encoder), made)
        found |= dict(zip(spoken, near.tolist(), strict=True))
    scores = [max(found[text], 0.0) for text in joined]
    return ranked(
        prompt,
        entries,
        scores,
        lambda chosen: shares([scores[i] for i in chosen]),
        threshold=threshold,
        top_k=top_k,
    )


@lru_cache(maxsize=4)
def _vectors(texts: tuple[str, ...], encoder: Encoder) -> Float[np.ndarray, "n d"]:
    """Triggers as vectors [n, d], encoded once for a library."""
    return np.stack([encode_alone(text, encoder) for text in texts])
