"""Scenes: what gates learn from, drawn by the pipeline and its LoRAs themselves; no picture is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.lora import LoRA
from lorafusion.pipelines.apply import apply
from lorafusion.plan import Plan
from lorafusion.training.draw import Brush
from lorafusion.training.words import Encoded, Words, conditions


@dataclass(frozen=True, eq=False)
class Scene:
    """Latents of pictures of one text, and the text as it is heard.

    Attributes:
        latents: [m, c, h, w], float32 on the CPU, as the denoiser sees them.
        heard: the text as encoded with every LoRA open, which the gated model is given.
        heard_alone: the text as encoded for what is to be learned: with the one LoRA open, or for all, as
            `heard`.
        size: of the pictures in pixels.
        only: which LoRA alone is to be followed; None for all.
    """

    latents: Float[Tensor, "m c h w"]
    heard: Encoded
    heard_alone: Encoded
    size: int
    only: int | None = None

    def told(self, count: int, *, alone: bool = False) -> dict[str, Any]:
        """The unet's arguments that say the text, for so many pictures."""
        hidden, pooled = self.heard_alone if alone else self.heard
        wide = hidden.expand(count, -1, -1)
        return conditions((wide, None if pooled is None else pooled.expand(count, -1)), self.size)


def scenes(
    pipe: Any,
    loras: Sequence[LoRA],
    phrases: Sequence[str],
    prompts: Sequence[str],
    pictures: int,
    brush: Brush,
    size: int | None,
    on_picture: Callable[[int, int], object] | None = None,
) -> list[Scene]:
    """One scene of each LoRA alone, then one of each prompt, drawn with all LoRAs at an equal share.

    Args:
        pipe: the base, as it is.
        loras: N of them.
        phrases: what each of them shows.
        prompts: of pictures with all of them.
        pictures: of each.
        brush: steps, guidance and size of the pictures.
        size: in pixels, where the brush names none.
        on_picture: ``on_picture(done, all)``.
    """
    every = torch.ones(1, 1, len(loras))
    wanted = [(text, torch.eye(len(loras))[i].view(1, 1, -1), i) for i, text in enumerate(phrases)]
    asked = [*wanted, *((text, every / len(loras), None) for text in prompts)]
    made, done = list[Scene](), 0
    for number, (text, gates, only) in enumerate(asked):
        rows = []
        with apply(pipe, Plan.of(tuple(loras), gates)):
            for seed in range(pictures):
                rows.append(_latents(pipe, text, seed + 1000 * number, brush, size))
                done += 1
                if on_picture is not None:
                    on_picture(done, pictures * len(asked))
        heard = _heard(pipe, loras, every, text)
        alone = heard if only is None else _heard(pipe, loras, gates, text)
        pixels = rows[0].shape[-1] * int(pipe.vae_scale_factor)
        made.append(Scene(torch.cat(rows), heard, alone, pixels, only))
    return made


@torch.no_grad()
def _latents(pipe: Any, text: str, seed: int, brush: Brush, size: int | None) -> Tensor:
    side = brush.size or size
    given = {"guidance_scale": brush.guidance, "width": side, "height": side}
    made = pipe(
        prompt=text,
        num_inference_steps=brush.steps,
        generator=torch.Generator("cpu").manual_seed(seed),
        output_type="latent",
        **{key: value for key, value in given.items() if value is not None},
    ).images
    assert isinstance(made, Tensor)
    return made.float().cpu()


@torch.no_grad()
def _heard(pipe: Any, loras: Sequence[LoRA], gates: Tensor, text: str) -> Encoded:
    """The text as the text encoders' own parts of the LoRAs make it."""
    with apply(pipe, Plan.of(tuple(loras), gates)):
        return Words(pipe, live=True).of([text])
