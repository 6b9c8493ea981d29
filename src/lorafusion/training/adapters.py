"""Adapters: trainable low-rank side paths in a pipeline, put in by peft and taken out again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.training_utils import cast_training_params
from diffusers.utils import recurse_remove_peft_layers
from torch import nn

from lorafusion.lora import LowRank
from lorafusion.training.chance import generator
from lorafusion.training.layers import canonical, frozen, learning
from lorafusion.training.recipe import Recipe

NAME = "learned"
"""What peft calls the adapter."""

Pair = tuple[nn.Parameter, nn.Parameter]


class Adapters:
    """The side paths of a pipeline's parts.

    Attributes:
        parts: component -> path of a layer -> (down, up), float32, to be trained.
        scale: alpha / rank.
    """

    def __init__(self, parts: dict[str, dict[str, Pair]], scale: float) -> None:
        self.parts = parts
        self.scale = scale

    @property
    def components(self) -> tuple[str, ...]:
        """The components that learn."""
        return tuple(self.parts)

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
            canonical(component, path): LowRank(
                down.detach().to("cpu", dtype), up.detach().to("cpu", dtype), self.scale
            )
            for component, layers in self.parts.items()
            for path, (down, up) in layers.items()
            if up.detach().to(dtype).any()
        }


@contextmanager
def adapted(pipe: Any, recipe: Recipe) -> Iterator[Adapters]:
    """Put side paths beside the layers that the recipe names; on exit they are gone.

    They start as nothing: `up` is zero.

    Raises:
        WrongBase: a component has none of the layers.
    """
    layers = learning(pipe, recipe)
    with frozen(pipe):
        try:
            parts = {
                name: _inject(name, getattr(pipe, name), found, recipe)
                for name, found in layers.items()
            }
            yield Adapters(parts, recipe.scaled_alpha / recipe.rank)
        finally:
            for name in layers:
                recurse_remove_peft_layers(getattr(pipe, name))
                if hasattr(getattr(pipe, name), "peft_config"):
                    del getattr(pipe, name).peft_config


def _inject(name: str, module: nn.Module, paths: Iterable[str], recipe: Recipe) -> dict[str, Pair]:
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(r=recipe.rank, lora_alpha=recipe.scaled_alpha, target_modules=sorted(paths))
    inject_adapter_in_model(config, module, NAME)
    cast_training_params(module, torch.float32)
    found: dict[str, Pair] = {}
    for number, path in enumerate(sorted(paths)):
        layer: Any = module.get_submodule(path)
        found[path] = (layer.lora_A[NAME].weight, layer.lora_B[NAME].weight)
        # peft's own start, drawn apart from whatever else draws in this process.
        start = torch.empty(found[path][0].shape)
        draw = generator(recipe.seed, 2, *name.encode(), number)
        nn.init.kaiming_uniform_(start, a=5**0.5, generator=draw)
        found[path][0].data.copy_(start)
    return found
