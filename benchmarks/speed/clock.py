"""Variants in turn: every round runs each of them once, in a rotated order, and ratios are taken within a round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

Work = Callable[[], object]


@dataclass
class Timings:
    """Seconds of every variant, round by round.

    Attributes:
        process: variant -> seconds that the process used (on a GPU: between two events), one a round.
        wall: variant -> seconds that passed.
    """

    process: dict[str, list[float]] = field(default_factory=dict)
    wall: dict[str, list[float]] = field(default_factory=dict)

    def seconds(self, name: str) -> dict[str, float]:
        """Median, least and most of one variant."""
        return spread(self.process[name])

    def ratio(self, name: str, base: str) -> dict[str, float]:
        """Median, least and most of name / base, round by round."""
        pairs = zip(self.process[name], self.process[base], strict=True)
        return spread([one / other for one, other in pairs])

    def overheads(self, name: str, peer: str, base: str, own: str = "") -> dict[str, float]:
        """(name - own base) / (peer - base), of the medians and round by round.

        A difference of two noisy times is noisier than either: the share of the medians is what
        counts, the spread says how far to trust it.

        Args:
            name: whose overhead.
            peer: whose it is a share of.
            base: what the peer adds its own to.
            own: what `name` adds its own to; the same base when not given.
        """
        columns = [self.process[each] for each in (name, own or base, peer, base)]
        mine, bare, theirs, plain = map(statistics.median, columns)
        rounds = zip(*columns, strict=True)
        shares = [(a - b) / (c - d) for a, b, c, d in rounds if c > d] or [float("nan")]
        share = (mine - bare) / (theirs - plain) if theirs > plain else float("nan")
        return spread(shares) | {"median": round(share, 4)}

    def summary(self) -> dict[str, Any]:
        """Seconds of every variant, and of the wall."""
        return {
            name: self.seconds(name) | {"wall": spread(self.wall[name])["median"]}
            for name in self.process
        }


def spread(values: list[float]) -> dict[str, float]:
    """Median, least and most, to four digits that count."""
    found = {"median": statistics.median(values), "least": min(values), "most": max(values)}
    return {name: float(f"{value:.4g}") for name, value in found.items()}


def paired(
    variants: Mapping[str, Work], rounds: int, device: str = "cpu", warm: int = 1
) -> Timings:
    """Time every variant once a round, after `warm` rounds that do not count.

    Args:
        variants: name -> what is timed; each leaves everything as the next one needs it.
        rounds: that count.
        device: "cpu" for the process's own time, "cuda" for events on the GPU.
        warm: rounds before.
    """
    timings = Timings({name: [] for name in variants}, {name: [] for name in variants})
    names = list(variants)
    for number in range(-warm, rounds):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            process, wall = timed(variants[name], device)
            if number >= 0:
                timings.process[name].append(process)
                timings.wall[name].append(wall)
    return timings


def timed(work: Work, device: str = "cpu") -> tuple[float, float]:
    """(seconds of the process or between events, seconds of the wall) of one call."""
    if device == "cuda":
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        wall = time.perf_counter()
        begin.record()
        work()
        end.record()
        torch.cuda.synchronize()
        return begin.elapsed_time(end) / 1e3, time.perf_counter() - wall
    wall, process = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - process, time.perf_counter() - wall
