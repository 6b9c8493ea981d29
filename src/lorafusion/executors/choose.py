"""Choose an executor by what it costs, and say why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lorafusion.lora import LowRank
from lorafusion.plan import Plan

FOLD_PAYS_AFTER = 4
"""Sample-forwards that a mixture must last for a fold to cost less than side paths.

A fold costs about as many operations as the side paths of 0.6 to 2.5 sample-forwards of a full-size model,
whatever the rank; 4 leaves room for the copy.
"""


@dataclass(frozen=True)
class Choice:
    """An executor's name and the reason for it, in words."""

    name: str
    why: str


def choose_for(plans: Sequence[Plan], samples: int = 2) -> Choice:
    """`choose` for a batch with a plan for each image: gates that differ between samples want `inject`."""
    if len(plans) == 1:
        return choose(plans[0], samples)
    for plan in plans:
        if strange := _not_low_rank(plan):
            return Choice("fold", f"{strange}, which has no side path of low rank")
    return Choice("inject", f"{len(plans)} prompts with mixtures of their own run as one batch")


def choose(plan: Plan, samples: int = 2) -> Choice:
    """The cheaper of `fold` and `inject` for this plan.

    Args:
        plan: what is to be run.
        samples: rows that the denoiser is called with; 2 for one image with guidance.

    Returns:
        `fold` where a mixture lasts long enough to pay for writing it or a change is not of low
        rank, else `inject`.
    """
    if strange := _not_low_rank(plan):
        return Choice("fold", f"{strange}, which has no side path of low rank")
    if plan.learned is not None:
        return Choice("inject", "gates per block move many times within one call")
    if plan.branches > 1:
        return Choice("inject", f"{plan.branches} branches run as one batch")
    changes = int((plan.gates[1:] != plan.gates[:-1]).any(-1).any(-1).sum())
    if changes == 0:
        return Choice("fold", "one mixture for the whole run, so that a step costs nothing extra")
    lasts = samples * plan.steps / (changes + 1)
    turns = f"{changes + 1} mixtures in {plan.steps} steps"
    if lasts >= FOLD_PAYS_AFTER:
        return Choice("fold", f"{turns}, each lasts long enough to be written into the weights")
    return Choice("inject", f"{turns}, each too short to be written into the weights")


def _not_low_rank(plan: Plan) -> str:
    """The first change that only `fold` can take, in words; empty when there is none."""
    return next(
        (
            f"LoRA {lora.name!r} has a {delta.kind} at {path}"
            for lora in plan.loras
            for path, delta in lora.deltas.items()
            if not isinstance(delta, LowRank)
        ),
        "",
    )
