"""Lessons: examples as the denoiser sees them, encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from jaxtyping import Float, Int
from torch import Tensor

from lorafusion.training.examples import Example, pictures


@dataclass(frozen=True)
class Lessons:
    """What there is to learn from.

    Attributes:
        moments: [n, 2c, h, w], mean and log-variance of the latents, float32 on the CPU.
        captions: one each.
        scale: what latents are multiplied with for the denoiser.
    """

    moments: Float[Tensor, "n c2 h w"]
    captions: tuple[str, ...]
    scale: float

    def __len__(self) -> int:
        return len(self.captions)

    def latents(self, rows: Int[Tensor, " m"], draw: torch.Generator) -> Float[Tensor, "m c h w"]:
        """Latents of some examples, sampled from what the autoencoder says of them."""
        return DiagonalGaussianDistribution(self.moments[rows]).sample(draw) * self.scale

    def texts(self, rows: Int[Tensor, " m"]) -> list[str]:
        """Their captions."""
        return [self.captions[int(row)] for row in rows]


@torch.no_grad()
def lessons(pipe: Any, shown: Sequence[Example], size: int) -> Lessons:
    """Encode examples with the pipeline's autoencoder, in float32, which that of SDXL needs.

    Args:
        pipe: with a `vae` of the kind of Stable Diffusion.
        shown: at least one.
        size: height and width in pixels.

    Raises:
        UnreadableFile, BadOption: as `pictures`.
    """
    vae = pipe.vae
    before = vae.dtype
    if before != torch.float32:
        vae.to(torch.float32)
    try:
        # One at a time: encoding is little work, and so no batch depends on its neighbours.
        rows = [
            vae.encode(pictures([one], size).to(vae.device)).latent_dist.parameters.cpu()
            for one in shown
        ]
    finally:
        if before != torch.float32:
            vae.to(before)
    captions = tuple(one.caption for one in shown)
    return Lessons(torch.cat(rows), captions, float(vae.config["scaling_factor"]))
