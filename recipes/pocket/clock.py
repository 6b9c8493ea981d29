"""A training clock: how far a run is, in steps, across interruptions; and its log."""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass
class Clock:
    """Progress of one training stage.

    Only steps decide how a stage goes on; seconds are for the log.

    Attributes:
        total: optimiser steps of the whole stage.
        every: steps from one log entry to the next.
        spent: seconds used by earlier runs of the same stage.
        steps: optimiser steps done.
        images: training pictures seen.
        curve: one row of numbers per log entry.
        recent: losses since the last entry.
    """

    total: int
    every: int
    spent: float = 0.0
    steps: int = 0
    images: int = 0
    curve: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    recent: list[float] = field(default_factory=list[float])
    _start: float = field(default_factory=time.monotonic)

    def seconds(self) -> float:
        """Wall time of the stage so far."""
        return self.spent + time.monotonic() - self._start

    def running(self) -> bool:
        """Whether steps are left."""
        return self.steps < self.total

    def factor(self, warm: int = 20) -> float:
        """What multiplies the learning rate: a short warm-up, then a cosine to zero."""
        cosine = 0.5 * (1 + math.cos(math.pi * self.steps / self.total))
        return min(1.0, (self.steps + 1) / warm) * cosine

    def tick(self, images: int, loss: float) -> bool:
        """Count one step.

        Args:
            images: pictures in this step.
            loss: of this step.
        Returns:
            Whether it is time for a log entry.
        """
        self.steps += 1
        self.images += images
        self.recent.append(loss)
        return self.steps % self.every == 0 or not self.running()

    def log(self, **numbers: float) -> None:
        """Add one row to the curve: the mean of the recent losses, and these numbers."""
        row = {"step": self.steps, "images": self.images, "seconds": round(self.seconds(), 1)}
        numbers = {"loss": sum(self.recent) / max(1, len(self.recent))} | numbers
        self.curve.append(row | {key: round(value, 5) for key, value in numbers.items()})
        self.recent.clear()

    def state(self) -> dict[str, object]:
        """As plain data, to be saved at a log entry and given to `restore`."""
        return {
            "total": self.total, "seconds": round(self.seconds(), 1), "steps": self.steps,
            "images": self.images, "curve": self.curve,
        }  # fmt: skip

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from a saved state; the whole number of steps stays this clock's."""
        self.spent, self.steps = saved["seconds"], saved["steps"]
        self.images, self.curve = saved["images"], list(saved["curve"])

    def write(self, path: Path) -> None:
        """Save as JSON, all or nothing."""
        draft = path.with_name(path.name + ".tmp")
        draft.write_text(json.dumps(self.state(), indent=1) + "\n")
        draft.replace(path)


def chance(*numbers: int) -> int:
    """A seed from several numbers, such as (seed, step, rank).

    Every step draws from a seed of its own, so a run that goes on draws what it would have drawn.
    """
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
