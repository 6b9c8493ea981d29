"""Keys and values of the prompt: found in every step, or once for as long as prompt and gates stay."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.speed.clock import Work, paired
from benchmarks.speed.models import Bench, of_the_prompt
from lorafusion.executors.same import Remember, Turn


def prompt(one: Bench, batch: int, latent: int, rounds: int, device: str = "cpu") -> dict[str, Any]:
    """The layers of one step that map the prompt, without any LoRA, beside the whole step."""
    layers = of_the_prompt(one.unet)
    remembered = [Remember(layer.forward, Turn()) for layer in layers]
    words = one.inputs(batch, latent)["encoder_hidden_states"]

    @torch.no_grad()
    def each() -> None:
        for layer in layers:
            layer(words)

    @torch.no_grad()
    def once() -> None:
        for layer in remembered:
            layer(words)

    variants: dict[str, Work] = {
        "step": one.call(batch, latent),
        "in every step": each,
        "once": once,
    }
    timings = paired(variants, rounds, device)
    return {
        "seconds": timings.summary(),
        "share of a step": timings.ratio("in every step", "step"),
        "share of a step when remembered": timings.ratio("once", "step"),
    }
