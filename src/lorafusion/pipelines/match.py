"""Does a LoRA fit a pipeline? Completely, or it is refused before anything is touched."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from lorafusion.errors import WrongBase
from lorafusion.executors.site import find_parameter, misfit
from lorafusion.lora import LoRA

DENOISERS = ("unet", "transformer")


def denoiser_name(pipe: Any) -> str:
    """The component that predicts noise: "unet" or "transformer".

    Raises:
        WrongBase: the pipeline has neither.
    """
    for name in DENOISERS:
        if isinstance(getattr(pipe, name, None), nn.Module):
            return name
    raise WrongBase(
        f"{type(pipe).__name__} has no denoiser; expected a component named {' or '.join(DENOISERS)}"
    )


def base_weights(pipe: Any, lora: LoRA) -> dict[str, Float[Tensor, "..."]]:
    """Target path -> the pipeline's weight, for every target of a LoRA.

    Raises:
        WrongBase: the LoRA does not fit.
    """
    check(pipe, lora)
    weights = {}
    for component in lora.components:
        for path in lora.part(component):
            layer, name = find_parameter(getattr(pipe, component), path)
            weights[f"{component}.{path}"] = getattr(layer, name).detach()
    return weights


def check(pipe: Any, lora: LoRA) -> None:
    """Refuse a LoRA of which any target is missing in the pipeline or has another shape.

    Raises:
        WrongBase: with the number of targets that do not fit and the first of them.
    """
    problems = []
    for name in lora.components:
        module = getattr(pipe, name, None)
        for path, delta in lora.part(name).items():
            if not isinstance(module, nn.Module):
                problems.append((f"{name}.{path}", "no such component"))
            elif problem := misfit(module, path, delta):
                problems.append((f"{name}.{path}", problem))
    if problems:
        made_for = "" if lora.family == "unknown" else f" (made for {lora.family})"
        path, why = problems[0]
        raise WrongBase(
            f"LoRA {lora.name!r}{made_for} does not fit this {type(pipe).__name__}: {len(problems)} of "
            f"{len(lora.deltas)} targets do not match, first {path}: {why}; "
            "use it with the base model that it was trained on"
        )
