"""Adapters: trainable low-rank side paths in a pipeline, put in by peft and taken out again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.training_utils import cast_training_params
from diffusers.utils import recurse_remove_peft_layers
from torch import nn

from lorafusion.errors import WrongBase
from lorafusion.lora import LowRank
from lorafusion.training.chance import generator
from lorafusion.training.recipe import TARGETS, TEXT_TARGETS, Recipe

NAME = "learned"
"""What peft calls the adapter."""

ENCODERS = ("text_encoder", "text_encoder_2")


class Adapters:
    """The side paths of a pipeline's parts.

    Attributes:
        parts: component -> path of a layer -> (down, up), float32, to be trained.
        scale: alpha / rank.
    """

    def __init__(
        self, parts: dict[str, dict[str, tuple[nn.Parameter, nn.Parameter]]], scale: float
    ) -> None:
        self.parts = parts
        self.scale = scale

    def parameters(self, component: str) -> dict[str, nn.Parameter]:
        """Name -> what is trained of one component, in an order that does not change."""
        pairs = sorted(self.parts[component].items())
        named = [(f"{path}.{side}", one) for path, both in pairs
                 for side, one in zip(("down", "up"), both, strict=True)]  # fmt: skip
        return dict(named)

    def deltas(self, dtype: torch.dtype = torch.float16) -> dict[str, LowRank]:
        """Target path -> what has been learned so far, stored in `dtype`.

        Layers that no prediction depends on have learned nothing and are left out: SDXL's unet takes the
        last but one layer of its text encoders.
        """
        return {
            f"{component}.{_canonical(component, path)}": LowRank(
                down.detach().to("cpu", dtype), up.detach().to("cpu", dtype), self.scale
            )
            for component, layers in self.parts.items()
            for path, (down, up) in layers.items()
            if up.detach().to(dtype).any()
        }


@contextmanager
def adapted(pipe: Any, recipe: Recipe) -> Iterator[Adapters]:
    """Put side paths into the unet, and into the text encoders where the recipe trains them.

    They start as nothing: `up` is zero. On exit they are gone and the pipeline is what it was.

    Raises:
        WrongBase: a component has none of the layers.
    """
    chosen = {"unet": list(TARGETS[recipe.targets])}
    if recipe.text_rate:
        found = [name for name in ENCODERS if isinstance(getattr(pipe, name, None), nn.Module)]
        chosen |= {name: list(TEXT_TARGETS) for name in found}
    trained = [(one, one.requires_grad) for one in _weights(pipe)]
    for weight, _ in trained:
        weight.requires_grad_(False)
    try:
        parts = {
            name: _inject(name, getattr(pipe, name), targets, recipe)
            for name, targets in chosen.items()
        }
        yield Adapters(parts, recipe.scaled_alpha / recipe.rank)
    finally:
        for name in chosen:
            recurse_remove_peft_layers(getattr(pipe, name))
            if hasattr(getattr(pipe, name), "peft_config"):
                del getattr(pipe, name).peft_config
        for weight, flag in trained:
            weight.requires_grad_(flag)


def _inject(
    name: str, module: nn.Module, targets: list[str], recipe: Recipe
) -> dict[str, tuple[nn.Parameter, nn.Parameter]]:
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners.lora import LoraLayer

    if not any(path.endswith(tuple(targets)) for path, _ in module.named_modules()):
        raise WrongBase(
            f"the {name} ({type(module).__name__}) has no layer named {', '.join(targets)}; "
            "train on a base model of the kind of Stable Diffusion"
        )
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.scaled_alpha,
        target_modules=targets,
    )
    inject_adapter_in_model(config, module, NAME)
    cast_training_params(module, torch.float32)
    found = {
        path: (layer.lora_A[NAME].weight, layer.lora_B[NAME].weight)
        for path, layer in module.named_modules()
        if isinstance(layer, LoraLayer)
    }
    for number, path in enumerate(sorted(found)):
        # peft's own start, drawn apart from whatever else draws in this process.
        draw = generator(recipe.seed, 2, *name.encode(), number)
        start = torch.empty(found[path][0].shape)
        nn.init.kaiming_uniform_(start, a=5**0.5, generator=draw)
        found[path][0].data.copy_(start)
    return found


def _weights(pipe: Any) -> list[nn.Parameter]:
    modules = [one for one in pipe.components.values() if isinstance(one, nn.Module)]
    return [weight for module in modules for weight in module.parameters()]


def _canonical(component: str, path: str) -> str:
    """The path as files spell it; transformers dropped a level of it (see `executors.site.find_layer`)."""
    lost = component in ENCODERS and not path.startswith("text_model.")
    return f"text_model.{path}" if lost else path
