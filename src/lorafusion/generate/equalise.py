"""Equalise: a weight of 0.8 means the same for every LoRA."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import torch

from lorafusion.base import Base
from lorafusion.doctor import effect, equalising
from lorafusion.errors import BadOption
from lorafusion.generate.request import Request
from lorafusion.methods import plan as make_plan
from lorafusion.pipelines.match import base_weights
from lorafusion.plan import Plan, Route

Norm: TypeAlias = float | Literal["median"]
"""The norm that each LoRA's change has at weight 1; or the median of those chosen."""


def equalised(route: Route, to: Norm, pipe: Any = None) -> Route:
    """The route with weights multiplied so that at weight 1 every LoRA's change is of one size.

    The size is the Frobenius norm of all its changes, text encoders included, as `doctor.effect`
    measures it. LoRAs are trained to very different sizes; but a norm is no measure of what an eye
    sees, so that this is a choice. Chosen LoRAs that change nothing keep their weight.

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
    return route.with_weights(
        {name: weight * factors.get(name, 1.0) for name, weight in route.weights.items()}
    )


def check_weighed(plan: Plan, route: Route, request: Request, base: Base | None = None) -> None:
    """Insist that a method acts on weights, since otherwise equal strengths are not what it makes.

    Args:
        plan: made of `route` as `request` asks.
        route: its chosen LoRAs have been read (`settled`).
        request: names the method.
        base: answers what the method asks about the base model.

    Raises:
        BadOption: another weight makes the same plan.
    """
    if not route.weights:
        return
    first = next(iter(route.weights))
    other = make_plan(
        request.method,
        route.with_weights(route.weights | {first: route.weights[first] / 2}),
        request.steps,
        strength=request.strength,
        base=base,
        **dict(request.options),
    )
    if any(one is not two for one, two in zip(plan.loras, other.loras, strict=False)):
        return  # a method that rewrites the LoRAs has the weights in what it wrote
    if torch.equal(plan.gates, other.gates) and torch.equal(plan.mix, other.mix):
        raise BadOption(
            f"equalise changes weights, and method {request.method!r} does not act on them here; "
            "use fusion, or leave equalise out"
        )
