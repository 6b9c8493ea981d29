"""Layers: which weights of a pipeline learn, and what they are called in files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from torch import nn

from lorafusion.errors import WrongBase
from lorafusion.lora import LowRank
from lorafusion.training.recipe import TARGETS, TEXT_TARGETS, Recipe

ENCODERS = ("text_encoder", "text_encoder_2")


@runtime_checkable
class Learning(Protocol):
    """Trainable numbers of some kind in a pipeline."""

    @property
    def components(self) -> tuple[str, ...]:
        """The pipeline's components that learn."""

    def parameters(self, component: str) -> dict[str, nn.Parameter]:
        """Name -> what is trained of one component, in an order that does not change."""


@runtime_checkable
class Learner(Learning, Protocol):
    """What learns in a pipeline's layers, and the LoRA that it is."""

    def deltas(self) -> dict[str, LowRank]:
        """Target path -> what has been learned so far."""


def learning(pipe: Any, recipe: Recipe) -> dict[str, dict[str, nn.Linear | nn.Conv2d]]:
    """Component -> path -> layer: of the unet, and of the text encoders where the recipe trains them.

    Raises:
        WrongBase: a component has none of the recipe's layers.
    """
    ends = {"unet": TARGETS[recipe.targets]}
    if recipe.text_rate:
        found = [name for name in ENCODERS if isinstance(getattr(pipe, name, None), nn.Module)]
        ends |= dict.fromkeys(found, TEXT_TARGETS)
    return {name: _chosen(name, getattr(pipe, name), wanted) for name, wanted in ends.items()}


@contextmanager
def frozen(pipe: Any) -> Iterator[None]:
    """No weight of the pipeline itself is trained inside the block."""
    modules = [one for one in pipe.components.values() if isinstance(one, nn.Module)]
    before = [(one, one.requires_grad) for module in modules for one in module.parameters()]
    for weight, _ in before:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight, flag in before:
            weight.requires_grad_(flag)


def canonical(component: str, path: str) -> str:
    """The target path as files spell it; transformers dropped a level (see `executors.site.find_layer`)."""
    lost = component in ENCODERS and not path.startswith("text_model.")
    return f"{component}.text_model.{path}" if lost else f"{component}.{path}"


def _chosen(
    name: str, module: nn.Module, ends: tuple[str, ...]
) -> dict[str, nn.Linear | nn.Conv2d]:
    found = {
        path: layer
        for path, layer in module.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d)
        and any(path == end or path.endswith(f".{end}") for end in ends)
    }
    if not found:
        raise WrongBase(
            f"the {name} ({type(module).__name__}) has no layer named {', '.join(ends)}; "
            "train on a base model of the kind of Stable Diffusion"
        )
    return found
