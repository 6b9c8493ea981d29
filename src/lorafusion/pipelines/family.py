"""Which family is a base model of? Told by its denoiser's names and shapes, as for a LoRA."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lorafusion import formats
from lorafusion.families import UNKNOWN, recognise
from lorafusion.lora import Dense
from lorafusion.pipelines.match import DENOISERS, denoiser_name

Shape = tuple[int, ...]


def family_of(pipe: Any) -> str:
    """The family of a pipeline, or "unknown".

    Raises:
        WrongBase: the pipeline has no denoiser.
    """
    name = denoiser_name(pipe)
    layers = getattr(pipe, name).named_modules()
    return _family(
        name,
        {
            path: tuple(layer.weight.shape)
            for path, layer in layers
            if isinstance(layer, nn.Linear | nn.Conv2d)
        },
    )


def family_at(base: str) -> str:
    """The family of a diffusers folder, from headers alone; "unknown" where there is none.

    Raises:
        UnreadableFile: a file of its denoiser is broken.
    """
    for name in DENOISERS:
        files = sorted((Path(base).expanduser() / name).glob("*.safetensors"))
        shapes = {
            key.removesuffix(".weight"): shape
            for path in files
            for key, shape in formats.header(path).shapes.items()
            if key.endswith(".weight") and len(shape) > 1
        }
        if shapes:
            return _family(name, shapes)
    return UNKNOWN


def _family(component: str, shapes: Mapping[str, Shape]) -> str:
    """What a LoRA would be recognised as that changes all these weights."""
    blank = {
        f"{component}.{path}": Dense(torch.empty(shape, device="meta"))
        for path, shape in shapes.items()
    }
    return recognise(blank)
