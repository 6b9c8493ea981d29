"""The denoiser, called once per branch of the plan, and the branches' predictions averaged."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lorafusion.executors.base import Executor, replaced
from lorafusion.executors.call import Call, prediction, with_prediction
from lorafusion.pipelines.clock import Clock
from lorafusion.pipelines.mixed import mixed, moment
from lorafusion.pipelines.prompts import Prompts
from lorafusion.plan import Plan


def branched(
    pipe: Any,
    denoiser: nn.Module,
    executor: Executor,
    plan: Plan,
    clock: Clock | None,
    prompts: Prompts | None,
    variants: Int[Tensor, "s b"],
) -> AbstractContextManager[None]:
    """Let every call of `denoiser` be the plan's mean over branches.

    Guidance is linear in the predictions, so averaging the conditional and the unconditional ones apart is
    averaging the guided ones: composite is right for any guidance scale, and without guidance.

    Args:
        pipe: the pipeline.
        denoiser: its UNet or transformer.
        executor: of that denoiser, already entered.
        plan: gates [S, B, L] and mix [S, B].
        clock: which step it is; None for a plan that is the same in each.
        prompts: the prompt per mixture of the text encoders; None when there is only one.
        variants: [S, B], which of these mixtures a branch sees in a step.
    """
    original = denoiser.forward

    @functools.wraps(original)
    def forward(*args: Any, **kwargs: Any) -> Any:
        call = Call.of(original, args, kwargs)
        step = clock.step(call.arguments.get("timestep")) if clock else 0
        calls = [call] * plan.branches
        if prompts:
            calls = [prompts.seen_by(call, int(variant)) for variant in variants[step]]
        outputs = executor.predict(calls, plan.gates[step])
        if plan.mixer is not None:
            return mixed(outputs, plan.mixer, moment(pipe, call.batch, step, plan.steps))
        return mean(outputs, plan.mix[step])

    return replaced(denoiser, "forward", forward)


def mean(outputs: Sequence[Any], mix: Float[Tensor, " b"]) -> Any:
    """The weighted mean of what the denoiser returned per branch, accumulated in float32 or wider."""
    if len(outputs) == 1:
        return outputs[0]
    first = prediction(outputs[0])
    wide = torch.promote_types(first.dtype, torch.float32)
    total = sum(
        prediction(output).to(wide) * float(share)
        for output, share in zip(outputs, mix, strict=True)
    )
    assert isinstance(total, Tensor)
    return with_prediction(outputs[0], total.to(first.dtype))
