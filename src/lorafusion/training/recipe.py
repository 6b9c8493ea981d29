"""Recipe: the numbers of one training run."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from lorafusion.errors import BadOption, UnknownName
from lorafusion.registry import unknown

_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_LINEAR = (*_ATTENTION, "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2")

TARGETS = {
    "attention": _ATTENTION,
    "linear": _LINEAR,
    "all": (*_LINEAR, "conv1", "conv2", "conv_shortcut"),
}
"""Which layers of a unet are changed, by the ends of their paths. "attention" is what Hu et al. and diffusers'
scripts change, "linear" what kohya's networks.lora does, "all" adds the convolutions (LoCon)."""

TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
"""Which layers of a CLIP text encoder are changed."""

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Recipe:
    """How a LoRA is trained; equal recipes, pictures and base models give equal weights on one machine.

    Attributes:
        steps: optimiser steps.
        batch: pictures of the concept in one forward; as many of its class beside them.
        accumulate: forwards in one step.
        rate: learning rate of AdamW for the denoiser, after a warm-up of a twentieth of the steps and on its way
            to zero along a cosine.
        text_rate: the same for the text encoders; 0 leaves them alone.
        rank: directions of each change; of spectral shifts, the largest that are written.
        alpha: the change acts at alpha / rank; as large as the rank when None.
        targets: a name of `TARGETS`.
        size: height and width of the pictures in pixels; the base model's own when None.
        snr: gamma of min-SNR weighting (Hang et al., arXiv:2303.09556, section 3.4); 0 weighs all noise levels alike.
        prior_weight: of the loss on pictures of the class (Ruiz et al., arXiv:2208.12242, equation 2).
        precision: "bfloat16" computes in it where autocast allows; the trained weights stay float32.
        less_memory: compute activations anew on the way back instead of keeping them.
        seed: of the weights at the start, of the order of the pictures, and of all noise.
        save_every: steps from one checkpoint to the next.

    Raises:
        BadOption: a number out of its range.
        UnknownName: no such targets or precision.
    """

    steps: int = 1_000
    batch: int = 1
    accumulate: int = 1
    rate: float = 1e-4
    text_rate: float = 0.0
    rank: int = 16
    alpha: float | None = None
    targets: str = "linear"
    size: int | None = None
    snr: float = 5.0
    prior_weight: float = 1.0
    precision: str = "float32"
    less_memory: bool = False
    seed: int = 0
    save_every: int = 100

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulate", "rank", "save_every"):
            _at_least_one(name, getattr(self, name))
        if self.size is not None:
            _at_least_one("size", self.size)
        for name in ("rate", "text_rate", "snr", "prior_weight"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise BadOption(f"{name} is {value}; it must be a finite number, 0 or more")
        if self.alpha is not None and not (math.isfinite(self.alpha) and self.alpha > 0):
            raise BadOption(f"alpha is {self.alpha}; it must be over 0, such as {self.rank}")
        if self.seed < 0:
            raise BadOption(f"seed is {self.seed}; it must be 0 or more")
        if self.targets not in TARGETS:
            raise UnknownName(unknown("set of targets", self.targets, list(TARGETS)))
        if self.precision not in PRECISIONS:
            raise UnknownName(unknown("precision", self.precision, list(PRECISIONS)))

    @property
    def scaled_alpha(self) -> float:
        """Alpha, or the rank where none was given."""
        return float(self.rank if self.alpha is None else self.alpha)

    def factor(self, step: int) -> float:
        """What multiplies the learning rates in a step: a warm-up, then a cosine to zero."""
        warm = max(1, self.steps // 20)
        return min(1.0, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def changed(recipe: Recipe, **given: object) -> Recipe:
    """The recipe with some numbers exchanged.

    Raises:
        BadOption, UnknownName: as `Recipe`.
    """
    return Recipe(**{**asdict(recipe), **given})


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise BadOption(f"{name} is {value}; it must be at least 1")


POCKET = Recipe(steps=500, batch=8, rate=5e-3, text_rate=1e-3, rank=8, targets="all", save_every=50)
"""What suits pocket, which is a hundred times smaller than Stable Diffusion."""

SPECTRAL = Recipe(rate=1e-3, rank=4_096)
"""Spectral shifts as Han et al. train them (arXiv:2303.11305, section 4); the rank is more than any layer has."""

POCKET_SPECTRAL = changed(POCKET, rate=6e-2, text_rate=2e-2, rank=4_096)
"""Spectral shifts of pocket."""

GATES = Recipe(steps=400, batch=2, rate=1e-3)
"""MoLE's gates, with the steps and pictures of Wu et al. (arXiv:2404.13628, section 4.1). Their rate is 1e-5 for
matrices that see every token; ours see their mean and have as many times fewer rows."""

POCKET_GATES = changed(GATES, batch=4, rate=1e-2, save_every=50)
"""MoLE's gates for pocket."""
