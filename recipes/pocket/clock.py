"""A training clock: how far a run is, in wall time, across interruptions; and its log."""

import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Clock:
    """Progress of one training stage.

    Attributes:
        minutes: wall time the stage may take.
        spent: seconds used by earlier runs of the same stage.
        steps: optimiser steps done.
        images: training pictures seen.
        curve: one row of numbers per log entry.
    """

    minutes: float
    spent: float = 0.0
    steps: int = 0
    images: int = 0
    curve: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    _start: float = field(default_factory=time.monotonic)

    def seconds(self) -> float:
        """Wall time of the stage so far."""
        return self.spent + time.monotonic() - self._start

    def progress(self) -> float:
        """Fraction of the time that is used, 0 to 1."""
        return min(1.0, self.seconds() / (60 * self.minutes))

    def factor(self, warm: int = 20) -> float:
        """What multiplies the learning rate: a short warm-up, then a cosine to zero."""
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress()))
        return min(1.0, (self.steps + 1) / warm) * cosine

    def tick(self, images: int) -> None:
        """Count one step."""
        self.steps += 1
        self.images += images

    def log(self, **numbers: float) -> None:
        """Add one row to the curve."""
        row = {"step": self.steps, "images": self.images, "seconds": round(self.seconds(), 1)}
        self.curve.append(row | {key: round(value, 5) for key, value in numbers.items()})

    def state(self) -> dict[str, object]:
        """As plain data, to be saved and given to `resumed`."""
        return {
            "minutes": self.minutes, "seconds": round(self.seconds(), 1), "steps": self.steps,
            "images": self.images, "curve": self.curve,
        }  # fmt: skip

    def write(self, path: Path) -> None:
        """Save as JSON."""
        path.write_text(json.dumps(self.state(), indent=1) + "\n")

    @classmethod
    def resumed(cls, path: Path, minutes: float) -> "Clock":
        """The clock that was saved at path, or a new one where there is no file."""
        if not path.is_file():
            return cls(minutes)
        saved = json.loads(path.read_text())
        return cls(minutes, saved["seconds"], saved["steps"], saved["images"], saved["curve"])
