"""Objective: how a base model of the diffusion family learns to remove noise, as its scheduler says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import compute_snr
from jaxtyping import Float, Int
from torch import Tensor

from lorafusion.errors import WrongBase

PREDICTIONS = ("epsilon", "v_prediction", "sample")


@dataclass(frozen=True)
class Objective:
    """Noise levels, what the denoiser predicts, and what an error counts.

    Attributes:
        noise: the scheduler of the base's training, made from the pipeline's own one.
        snr: gamma of min-SNR weighting; 0 for none.
    """

    noise: DDPMScheduler
    snr: float

    @classmethod
    def of(cls, pipe: Any, snr: float) -> Objective:
        """The objective that a pipeline's scheduler names.

        Raises:
            WrongBase: it was trained by flow matching, or predicts something else than noise, velocity or image.
        """
        name, config = type(pipe.scheduler).__name__, pipe.scheduler.config
        kind = config.get("prediction_type")
        # Flow matching and EDM have no betas; trained as diffusion they would seem to learn, and break.
        if "beta_schedule" not in config or kind not in PREDICTIONS or "flow" in str(kind):
            raise WrongBase(
                f"{type(pipe).__name__} with {name} (prediction {kind!r}) cannot be trained here: expected a "
                f"diffusion model that predicts {', '.join(PREDICTIONS)}, such as Stable Diffusion 1, 2 or XL"
            )
        wanted = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas",
                  "prediction_type", "rescale_betas_zero_snr")  # fmt: skip
        return cls(DDPMScheduler(**{key: config[key] for key in wanted if key in config}), snr)

    def levels(self, count: int, draw: torch.Generator) -> Int[Tensor, " n"]:
        """Random timesteps, all alike likely."""
        return torch.randint(self.noise.config["num_train_timesteps"], (count,), generator=draw)

    def target(
        self,
        clean: Float[Tensor, "n c h w"],
        noise: Float[Tensor, "n c h w"],
        steps: Int[Tensor, " n"],
    ) -> Float[Tensor, "n c h w"]:
        """What the denoiser should answer: the noise, the velocity (Salimans and Ho, arXiv:2202.00512,
        section 4: sqrt(a) noise - sqrt(1 - a) clean), or the clean latents."""
        kind = self.noise.config["prediction_type"]
        if kind == "v_prediction":
            return self.noise.get_velocity(clean, noise, steps)
        return noise if kind == "epsilon" else clean

    def weight(self, steps: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """What the squared error at each timestep counts.

        Hang et al., arXiv:2303.09556, section 3.4: min(SNR, gamma) for clean latents, over SNR for noise, over
        SNR + 1 for velocity.
        """
        if not self.snr:
            return torch.ones(len(steps), device=steps.device)
        ratio = compute_snr(self.noise, steps)
        capped = ratio.clamp(max=self.snr)
        kind = self.noise.config["prediction_type"]
        if kind == "epsilon":  # at the last level of a zero-SNR schedule 0 / 0, whose limit is 1
            return torch.where(ratio > 0, capped / ratio.clamp(min=1e-12), 1.0)
        return capped / (ratio + 1) if kind == "v_prediction" else capped
