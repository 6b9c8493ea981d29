"""The two methods of arXiv:2402.16843 as plain loops over steps, restated from the paper.

Nothing of lorafusion's hooks is used: a LoRA is written into a copy of the pipeline by hand, and the loop calls
encoder, denoiser and scheduler itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch

from lorafusion.lora import LoRA
from tests import tiny


def with_lora(pipe: Any, lora: LoRA) -> Any:
    """A copy of the pipeline with one LoRA added to its weights."""
    parts = {
        name: copy.deepcopy(component) if name in lora.components else component
        for name, component in pipe.components.items()
    }
    for path, delta in lora.deltas.items():
        component, _, inner = path.partition(".")
        inner = inner.removeprefix("text_model.") if component == "text_encoder" else inner
        weight = parts[component].get_submodule(inner).weight
        weight.data += delta.dense()
    return type(pipe)(**parts, requires_safety_checker=False)


def predict(pipe: Any, latents: Any, timestep: Any, guidance: float) -> list[torch.Tensor]:
    """Unconditional and conditional prediction of one model, or the latter alone without guidance."""
    guided = guidance > 1
    positive, negative = pipe.encode_prompt(tiny.PROMPT, "cpu", 1, guided, "")
    predictions = []
    for embeds in [negative, positive] if guided else [positive]:
        scaled = pipe.scheduler.scale_model_input(latents, timestep)
        predictions.append(pipe.unet(scaled, timestep, encoder_hidden_states=embeds).sample)
    return predictions


@torch.no_grad()
def run(
    pipe: Any,
    steps: int,
    guidance: float,
    predictions: Callable[[int, Any, Any], Any],
    seed: int = 0,
) -> torch.Tensor:
    """The loop: `predictions(k, latents, t)` gives what the k-th call of the denoiser predicts."""
    scheduler = pipe.scheduler
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(1, 4, 8, 8, generator=generator) * scheduler.init_noise_sigma
    for k, timestep in enumerate(scheduler.timesteps):
        seen = predictions(k, latents, timestep)
        noise = seen[0] + guidance * (seen[1] - seen[0]) if len(seen) == 2 else seen[0]
        latents = scheduler.step(noise, timestep, latents).prev_sample
    return latents
