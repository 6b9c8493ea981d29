"""Which step of a plan is a scheduler in?"""

from __future__ import annotations

import functools
import math
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch

from lorafusion.errors import BadOption, RunError
from lorafusion.executors.base import replaced


class Clock:
    """Counts the steps of a diffusers scheduler, while its `with` block lasts.

    A scheduler's timesteps may outnumber the steps asked for: second-order ones (Heun, KDPM2) visit all but
    one twice, PNDM repeats its second. Position k of K belongs to step floor(k · S / K), which is exact for
    these and the identity for the others. img2img starts further down the same schedule and takes the
    later part of the plan.

    Args:
        pipe: a pipeline with a `scheduler`.
        steps: the steps S of the plan.
    """

    def __init__(self, pipe: Any, steps: int) -> None:
        self._pipe = pipe
        self._scheduler = pipe.scheduler
        self._steps = steps
        self._positions = 0
        self._position: int | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Clock:
        for name, function in (("set_timesteps", self._started()), ("step", self._ticked())):
            self._stack.enter_context(replaced(self._scheduler, name, function))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def step(self, timestep: Any) -> int:
        """The step of the plan in which the denoiser is called with this timestep.

        Raises:
            RunError: the scheduler is not the one that was there when the plan was applied.
        """
        if self._pipe.scheduler is not self._scheduler or not self._positions:
            raise RunError(
                "the pipeline's scheduler was exchanged, or never started, inside apply(); set "
                "pipe.scheduler before apply() and call the pipeline inside it"
            )
        if self._position is None:
            self._position = self._first_position(timestep)
        return min(self._position, self._positions - 1) * self._steps // self._positions

    def _first_position(self, timestep: Any) -> int:
        begin = getattr(self._scheduler, "begin_index", None)
        if begin is not None:
            return int(begin)
        first = torch.as_tensor(timestep).flatten()[0]
        found = (self._scheduler.timesteps.cpu() == first.cpu()).nonzero()
        return int(found[0]) if len(found) else 0

    def _started(self) -> Any:
        original = self._scheduler.set_timesteps

        @functools.wraps(original)
        def set_timesteps(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            self._positions = len(self._scheduler.timesteps)
            self._position = None
            asked = kwargs.get("num_inference_steps", args[0] if args else None)
            order = getattr(self._scheduler, "order", 1)
            self._check(int(asked) if asked else math.ceil(self._positions / order))
            return result

        return set_timesteps

    def _ticked(self) -> Any:
        original = self._scheduler.step

        @functools.wraps(original)
        def step(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if self._position is not None:
                self._position += 1
            return result

        return step

    def _check(self, steps: int) -> None:
        if steps != self._steps:
            raise BadOption(
                f"the plan changes over {self._steps} steps but the pipeline is to run {steps}; "
                f"make the plan with steps={steps} or call with num_inference_steps={self._steps}"
            )
