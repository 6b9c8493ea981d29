"""Triggers: a LoRA is wanted when its trigger words stand in the prompt.

What the web interfaces for Stable Diffusion do by hand: the owner of a LoRA types its trigger words. No paper.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from lorafusion.library.keys import Encoder
from lorafusion.plan import Route, Source
from lorafusion.routing.ranked import ranked


def triggers(
    prompt: str,
    entries: Sequence[Source],
    keys: Float[np.ndarray, "n d"],  # noqa: ARG001 - every router has these; words need no vectors
    encoder: Encoder,  # noqa: ARG001 - as keys
    *,
    threshold: float | None = None,
    top_k: int | None = None,
) -> Route:
    """Choose the LoRAs with a trigger in the prompt, each at full strength.

    Args:
        prompt: looked through for whole words, small and capital letters being the same.
        entries: n LoRAs; one without triggers is never chosen.
        keys: not used.
        encoder: not used.
        threshold: the least share of a LoRA's triggers; one trigger is enough when it is not given.
        top_k: how many LoRAs to choose at most.

    Returns:
        Route; scores are the shares of triggers found, weights are 1, and the phrases are left to
        `with_phrases`. There may be no LoRA chosen.

    Raises:
        BadOption: top_k below 1, or a threshold that is not finite.
    """
    scores = [share_found(prompt, triggers_of(entry)) for entry in entries]
    return ranked(
        prompt,
        entries,
        scores,
        lambda chosen: [1.0] * len(chosen),
        threshold=threshold,
        top_k=top_k,
        absent="none of its trigger words is in the prompt",
    )


def triggers_of(entry: Source) -> tuple[str, ...]:
    """The trigger words of an entry that has any; blank ones do not count."""
    given: Sequence[str] = getattr(entry, "triggers", ())
    return tuple(trigger for trigger in given if trigger.strip())


def share_found(prompt: str, words: Sequence[str]) -> float:
    """How many of the triggers stand in the prompt, 0 to 1; 0 for no triggers."""
    return sum(bool(found(word, prompt)) for word in words) / max(len(words), 1)


def found(trigger: str, text: str) -> re.Match[str] | None:
    """Where a trigger first stands in a text, as `pattern` says."""
    # Making a pattern takes longer than all else here, and most triggers are not there.
    plain = trigger.isascii() and text.isascii()
    if plain and any(word not in text.lower() for word in trigger.lower().split()):
        return None
    return pattern(trigger).search(text)


@lru_cache(maxsize=65536)
def pattern(trigger: str) -> re.Pattern[str]:
    """What finds a trigger as whole words in any case, whatever the spaces between its words."""
    words = r"\s+".join(re.escape(word) for word in trigger.split())
    return re.compile(rf"(?<!\w){words}(?!\w)", re.IGNORECASE)
