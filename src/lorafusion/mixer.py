"""Mixer: how branches' predictions become one where it depends on the predictions themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Moment:
    """When and for what the denoiser is called.

    Attributes:
        step: of the plan, from 0.
        steps: the plan's number S of steps.
        unconditional: [N], which samples of the call were given the negative prompt; none where the
            pipeline does not say, or guides without one.
        guidance: the guidance scale that the pipeline will apply; 1 for none.
    """

    step: int
    steps: int
    unconditional: Bool[Tensor, " n"]
    guidance: float = 1.0


@runtime_checkable
class Mixer(Protocol):
    """A function of all branches' predictions, without a memory: equal calls, equal answers.

    It stands in a Plan beside `mix` and is used in its place. Whoever cannot run it may fall back on
    `mix`, which then holds the mean that comes nearest.
    """

    def __call__(
        self, predictions: Float[Tensor, "b n *x"], moment: Moment
    ) -> Float[Tensor, "n *x"]:
        """The one prediction that the pipeline carries on with, from the B branches' [B, N, ...]."""
