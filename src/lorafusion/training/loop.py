"""The loop: steps of AdamW, each decided by the seed and its own number."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lorafusion.errors import RunError
from lorafusion.training import checkpoint
from lorafusion.training.checkpoint import Entry
from lorafusion.training.layers import Learning
from lorafusion.training.recipe import Recipe

OnStep = Callable[[int, int, float], object]
"""``on_step(done, all, loss)``, after each step and its checkpoint."""


@dataclass
class Run:
    """One training on its way.

    Attributes:
        recipe: its numbers.
        loss: of one forward, by its number, which with the recipe's seed decides what it draws.
        weights: name -> what is trained.
        optimiser: of them.
        curve: losses so far.
    """

    recipe: Recipe
    loss: Callable[[int], Float[Tensor, ""]]
    weights: dict[str, nn.Parameter]
    optimiser: torch.optim.Optimizer
    curve: list[Entry] = field(default_factory=list[Entry])

    @property
    def done(self) -> int:
        """Steps behind the last entry of the curve."""
        return self.curve[-1].step if self.curve else 0


def optimiser_of(learner: Learning, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW over all that learns, the text encoders' at their own rate; `factor` of each step multiplies both."""
    groups = [
        {
            "params": list(learner.parameters(component).values()),
            "lr": recipe.rate if component == "unet" else recipe.text_rate,
        }
        for component in learner.components
    ]
    for group in groups:
        group["full_rate"] = group["lr"]
    return torch.optim.AdamW(groups, weight_decay=0.01)


def go(
    run: Run,
    path: Path,
    settings: Mapping[str, object],
    on_step: OnStep | None = None,
) -> None:
    """Take all steps that are left, with a checkpoint every `save_every` steps and at the end.

    Raises:
        RunError: the loss is no finite number any more.
        NotWritable: the checkpoint's folder refuses.
    """
    recipe = run.recipe
    before = run.curve[-1].seconds if run.curve else 0.0
    start, recent = time.monotonic(), list[float]()
    for step in range(run.done, recipe.steps):
        loss = _step(run, step)
        recent.append(loss)
        if (step + 1) % recipe.save_every == 0 or step + 1 == recipe.steps:
            seconds = round(before + time.monotonic() - start, 1)
            run.curve.append(Entry(step + 1, sum(recent) / len(recent), seconds))
            checkpoint.save(path, run.weights, run.optimiser, run.curve, settings)
            recent.clear()
        if on_step is not None:
            on_step(step + 1, recipe.steps, loss)


def _step(run: Run, step: int) -> float:
    recipe = run.recipe
    total = 0.0
    for part in range(recipe.accumulate):
        number = step * recipe.accumulate + part
        value = run.loss(number) / recipe.accumulate
        value.backward()
        total += float(value.detach())
    if total != total or total in (float("inf"), float("-inf")):
        raise RunError(
            f"the loss is {total} in step {step + 1}; train with a lower rate than {recipe.rate:g} or in float32"
        )
    nn.utils.clip_grad_norm_(run.weights.values(), 1.0)
    for group in run.optimiser.param_groups:
        group["lr"] = group["full_rate"] * recipe.factor(step)
    run.optimiser.step()
    run.optimiser.zero_grad(set_to_none=True)
    return total
