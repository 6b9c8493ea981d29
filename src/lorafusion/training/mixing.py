"""Mixing: what gates are to make of the LoRAs, as a loss: parts, whole, and balance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lorafusion.executors import Executor
from lorafusion.executors.gated import gated
from lorafusion.gating import LearnedGates, balance
from lorafusion.training.chance import generator, order
from lorafusion.training.objective import Objective
from lorafusion.training.recipe import Recipe
from lorafusion.training.scenes import Scene

MEASURED = 4
"""Noise levels at which shares are told after a training."""


@dataclass(frozen=True, eq=False)
class Mixing:
    """The loss of gates: how much of what they should make is missed, and how unequal they are.

    With e_0 what the base predicts, e_l with LoRA l alone and e with the gates, missed is
    |e - e*|^2 / |e* - e_0|^2: 0 where nothing is missed, 1 where the LoRAs might be closed. For the phrase of LoRA l
    alone, e* = e_l; for a prompt of all, e* = e_0 + sum_l (e_l - e_0), everyone's effect in full.

    Attributes:
        unet: of the pipeline.
        executor: of it, entered, with N LoRAs.
        gates: gives the gates of now.
        shown: scenes; forwards take them in turn.
        objective: noise.
        recipe: its batch and seed.
        alpha: what the balancing loss counts.
    """

    unet: nn.Module
    executor: Executor
    gates: Callable[[], LearnedGates]
    shown: Sequence[Scene]
    objective: Objective
    recipe: Recipe
    alpha: float

    def loss(self, number: int) -> Float[Tensor, ""]:
        """Of one forward; the number and the seed decide what it draws."""
        draw = generator(self.recipe.seed, 3, number)
        turn, which = divmod(number, len(self.shown))
        scene = self.shown[which]
        count = self.recipe.batch
        rows = order(self.recipe.seed, turn * count, count, len(scene.latents))
        levels = self.objective.levels(count, draw)
        noisy, levels = self._noisy(scene, rows, levels, draw)
        plain, wanted = self._wanted(scene, noisy, levels)
        guess, weights = self._mixed(scene, noisy, levels)
        missed = (guess - wanted).square().flatten(1).mean(1)
        whole = (wanted - plain).square().flatten(1).mean(1)
        domain = (missed / whole.clamp(min=1e-12)).mean()
        return domain + self.alpha * balance(weights) if self.alpha else domain

    @torch.no_grad()
    def shares(self) -> dict[str, float]:
        """Name -> its mean weight over blocks and noise levels, while the prompts of all are drawn."""
        seen = []
        for place, scene in enumerate(self.shown):
            if scene.only is not None:
                continue
            draw, count = generator(self.recipe.seed, 4, place), len(scene.latents)
            most = int(self.objective.noise.config["num_train_timesteps"])
            for level in range(MEASURED):
                levels = torch.full((count,), (2 * level + 1) * most // (2 * MEASURED))
                noisy, levels = self._noisy(scene, torch.arange(count), levels, draw)
                seen.append(self._mixed(scene, noisy, levels)[1])
        mean = torch.cat(seen, dim=1).mean((0, 1))
        return dict(zip(self.gates().names, mean.tolist(), strict=True))

    def _noisy(
        self, scene: Scene, rows: Tensor, levels: Tensor, draw: torch.Generator
    ) -> tuple[Float[Tensor, "n c h w"], Tensor]:
        clean = scene.latents[rows]
        noise = torch.randn(clean.shape, generator=draw)
        device = next(self.unet.parameters()).device
        return self.objective.noise.add_noise(clean, noise, levels).to(device), levels.to(device)

    @torch.no_grad()
    def _wanted(
        self, scene: Scene, noisy: Tensor, levels: Tensor
    ) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n c h w"]]:
        """e_0 and e*."""
        count = len(self.gates().names)
        plain = self._alone(scene, noisy, levels, torch.zeros(count))
        each = range(count) if scene.only is None else [scene.only]
        effects = [self._alone(scene, noisy, levels, torch.eye(count)[i]) - plain for i in each]
        return plain, plain + torch.stack(effects).sum(0)

    def _alone(self, scene: Scene, noisy: Tensor, levels: Tensor, gates: Tensor) -> Tensor:
        self.executor.set(gates)
        return self._predicted(noisy, levels, scene.told(len(noisy), alone=True))

    def _mixed(
        self, scene: Scene, noisy: Tensor, levels: Tensor
    ) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "m n l"]]:
        """e, and the weights of every block."""
        learned, weights = self.gates(), list[Tensor]()
        opened = torch.ones(len(learned.names))
        with gated(self.unet, self.executor, learned, learned.names, opened,
                   lambda _, found: weights.append(found)):  # fmt: skip
            guess = self._predicted(noisy, levels, scene.told(len(noisy)))
        return guess, torch.stack(weights)

    def _predicted(self, noisy: Tensor, levels: Tensor, told: dict[str, Any]) -> Tensor:
        made: Any = self.unet(noisy.to(next(self.unet.parameters()).dtype), levels, **told)
        predicted = made.sample.float()
        assert isinstance(predicted, Tensor)
        return predicted
