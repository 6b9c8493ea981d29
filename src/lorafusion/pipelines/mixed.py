"""Predictions of several branches, handed to a plan's mixer with what it must know of the call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from lorafusion.executors.call import prediction, with_prediction
from lorafusion.mixer import Mixer, Moment


def moment(pipe: Any, samples: int, step: int, steps: int) -> Moment:
    """What is known of a call of the denoiser.

    diffusers puts the samples of the negative prompt first where it guides with both in one call, and
    says so; a pipeline that calls its denoiser twice instead (Flux with a true guidance scale) does not say
    which call is which, and all samples then count as conditional.
    """
    guided = bool(getattr(pipe, "do_classifier_free_guidance", False)) and samples % 2 == 0
    unconditional = torch.zeros(samples, dtype=torch.bool)
    unconditional[: samples // 2 if guided else 0] = True
    scale = float(getattr(pipe, "guidance_scale", 1.0)) if guided else 1.0
    return Moment(step, steps, unconditional, scale)


def mixed(outputs: Sequence[Any], mixer: Mixer, when: Moment) -> Any:
    """What the denoiser returns for all branches, in float32 or wider meanwhile."""
    first = prediction(outputs[0])
    wide = torch.promote_types(first.dtype, torch.float32)
    stacked = torch.stack([prediction(output).to(wide) for output in outputs])
    return with_prediction(outputs[0], mixer(stacked, when).to(first.dtype))
