"""Denoising: the loss of pictures of a concept, and of its class beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.training.chance import generator, order
from lorafusion.training.lessons import Lessons
from lorafusion.training.objective import Objective
from lorafusion.training.recipe import Recipe
from lorafusion.training.words import Words, conditions


@dataclass(frozen=True)
class Denoising:
    """How well the pipeline's unet, with what learns in it, removes noise from pictures.

    Attributes:
        pipe: with what learns in it.
        recipe: its numbers.
        size: height and width of the pictures.
        concept: what is to be learned.
        prior: what is not to be forgotten; none for no prior preservation.
        words: captions for the unet.
        objective: noise and loss.
    """

    pipe: Any
    recipe: Recipe
    size: int
    concept: Lessons
    prior: Lessons | None
    words: Words
    objective: Objective

    def loss(self, number: int) -> Float[Tensor, ""]:
        """The weighted squared error of one forward, of the concept and of its class."""
        draw = generator(self.recipe.seed, 0, number)
        latents, captions, shares = self._batch(number, draw)
        unet = self.pipe.unet
        steps = self.objective.levels(len(latents), draw).to(unet.device)
        noise = torch.randn(latents.shape, generator=draw).to(unet.device)
        latents = latents.to(unet.device)
        noisy = self.objective.noise.add_noise(latents, noise, steps)
        half = self.recipe.precision != "float32"
        with torch.autocast(unet.device.type, torch.bfloat16, enabled=half):
            told = conditions(self.words.of(captions), self.size)
            guess = unet(noisy.to(unet.dtype), steps, **told).sample.float()
        error = (guess - self.objective.target(latents, noise, steps)).square().mean(dim=(1, 2, 3))
        weights = self.objective.weight(steps) * torch.tensor(shares).to(unet.device)
        # Both halves of a batch are means of their own, as in DreamBooth's sum of two losses.
        return (weights * error).sum() / self.recipe.batch

    def _batch(
        self, number: int, draw: torch.Generator
    ) -> tuple[Float[Tensor, "n c h w"], list[str], list[float]]:
        """Latents, captions and weights of the pictures of one forward."""
        recipe = self.recipe
        latents, captions, shares = list[Tensor](), list[str](), list[float]()
        for which, (known, share) in enumerate(
            ((self.concept, 1.0), (self.prior, recipe.prior_weight))
        ):
            if known is None:
                continue
            seed = 2 * recipe.seed + which
            rows = order(seed, number * recipe.batch, recipe.batch, len(known))
            latents.append(known.latents(rows, draw))
            captions += known.texts(rows)
            shares += [share] * recipe.batch
        return torch.cat(latents), captions, shares
