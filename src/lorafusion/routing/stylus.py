"""Stylus, its retriever alone: the LoRAs whose descriptions are nearest to the prompt.

Luo et al., "Stylus: Automatic Adapter Selection for Diffusion Models", arXiv:2404.18928, section 3.2: the k adapters
with the highest cosine between prompt and description. The paper's row "retriever-only" is this, without the
language model that afterwards splits the prompt into concepts and composes.

What differs, and why:
    Descriptions are the library's key texts and not written by a vision-language model; the encoder is the one given.
    The published weight is recommended weight · 0.8 / (adapters in the concept). Without a composer there are no
        concepts: LoRAs of one category stand for one, and the recommended weight is its default, 0.8.
    k is 3 by default: the retriever's 150 are meant for the composer to choose from, at most three for a concept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from lorafusion.library.keys import Encoder, encode_alone
from lorafusion.plan import Route, Source
from lorafusion.routing.cosine import cosines
from lorafusion.routing.ranked import ranked

RECOMMENDED = 0.8
"""The weight of an adapter whose author recommends none."""
SHARE = 0.8
"""What the adapters of one concept share."""


def stylus(
    prompt: str,
    entries: Sequence[Source],
    keys: Float[np.ndarray, "n d"],
    encoder: Encoder,
    *,
    top_k: int | None = 3,
    threshold: float | None = None,
) -> Route:
    """Choose the k LoRAs nearest to the whole prompt and divide strength within their categories.

    Args:
        prompt: encoded whole.
        entries: n LoRAs; those without a category stand alone.
        keys: of their descriptions, [n, d].
        encoder: the one that made the keys.
        top_k: how many LoRAs to choose at most.
        threshold: the least cosine, -1 to 1, that a LoRA is chosen with; the paper has none.

    Returns:
        Route; the weights of the chosen in one category sum to 0.64.

    Raises:
        BadOption: top_k below 1, or a threshold that is not finite.
    """
    scores = cosines(encode_alone(prompt, encoder), keys).tolist() if entries else []

    def weigh(chosen: Sequence[int]) -> list[float]:
        concepts = [entries[i].category or entries[i].name for i in chosen]
        sizes = Counter(concepts)
        return [RECOMMENDED * SHARE / sizes[concept] for concept in concepts]

    return ranked(prompt, entries, scores, weigh, threshold=threshold, top_k=top_k)
