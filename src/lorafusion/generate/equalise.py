"""Equalise: a weight of 0.8 means the same for every LoRA."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, TypeAlias

from lorafusion.doctor import effect, equalising
from lorafusion.pipelines.match import base_weights
from lorafusion.plan import Candidate, Route

Norm: TypeAlias = float | Literal["median"]
"""The norm that each LoRA's change has at weight 1; or the median of those chosen."""


def equalised(route: Route, to: Norm, pipe: Any = None) -> Route:
    """The route with strengths at which every LoRA's change is of one size at weight 1.

    The size is the Frobenius norm of all its changes, text encoders included, as `doctor.effect`
    measures it. LoRAs are trained to very different sizes; but a norm is no measure of what an eye
    sees, so that this is a choice. It takes the place of preferred strengths, which are another
    answer to the same question; the numbers of pins stay as factors. Chosen LoRAs that change nothing
    stay as they are.

    Args:
        route: its chosen LoRAs are read.
        to: a positive norm; "median", of the chosen ones.
        pipe: the base model, which DoRA's change depends on; without it, DoRA is measured before its
            lengths are set.

    Raises:
        BadOption: `to` is not positive.
        WrongBase: a LoRA does not fit `pipe`.
    """
    norms = {}
    for candidate in route.chosen:
        lora = candidate.source.load()
        weights = None if pipe is None else base_weights(pipe, lora)
        norms[candidate.name] = effect(lora, weights).norm
    sound = {name: norm for name, norm in norms.items() if norm}
    factors = equalising(sound, None if to == "median" else to)
    return route.changed(lambda one: _times(one, factors[one.name]) if one.name in factors else one)


def _times(candidate: Candidate, factor: float) -> Candidate:
    strength, text_strength = candidate.strengths if candidate.pinned else (1.0, 1.0)
    return replace(candidate, strength=strength * factor, text_strength=text_strength * factor)
