"""What the configuration tells of a layer's tokens is what the layer sees."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lorafusion.pipelines.match import denoiser_name
from lorafusion.pipelines.tokens import tokens
from tests import tiny


def seen(pipe: Any, name: str) -> dict[str, int]:
    """Target path -> vectors of one sample, in an image of the model's own size."""
    found: dict[str, int] = {}

    def note(path: str) -> Any:
        def hook(layer: nn.Module, args: tuple[Tensor, ...]) -> None:
            x = args[0]
            width = x.shape[1] if isinstance(layer, nn.Conv2d) else x.shape[-1]
            found[f"{name}.{path}"] = x.numel() // width // x.shape[0]

        return hook

    handles = [
        layer.register_forward_pre_hook(note(path))
        for path, layer in getattr(pipe, name).named_modules()
        if path.endswith(("to_q", "to_out.0", "proj_in", "ff.net.2", "attn.to_v"))
    ]
    pipe("a cat", num_inference_steps=1, output_type="latent")
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("kind", ["sd", "sdxl", "sd3"])
def test_tokens_are_those_that_layers_see(kind: str) -> None:
    pipe = tiny.pipeline(kind)
    name = denoiser_name(pipe)
    with torch.no_grad():
        found = seen(pipe, name)
    of = tokens(pipe)
    assert found
    assert {path: of(path) for path in found} == found


def test_layers_of_the_prompt_and_of_encoders_are_told_apart() -> None:
    of = tokens(tiny.pipeline("sd"))
    assert of("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k") == 77
    assert of("text_encoder.text_model.encoder.layers.0.self_attn.q_proj") == 0
