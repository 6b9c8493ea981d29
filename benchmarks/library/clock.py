"""Wall and processor times of fresh processes."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks.provenance import ROOT


@dataclass(frozen=True)
class Times:
    """Seconds of several runs.

    Attributes:
        median: wall time.
        fastest: likewise.
        slowest: likewise.
        processor: the median of processor seconds, children included; other work on the machine does
            not count.
        runs: how many.
    """

    median: float
    fastest: float
    slowest: float
    processor: float
    runs: int


def timed(words: Sequence[str], runs: int = 1) -> tuple[dict[str, Any], str]:
    """Run this interpreter with `words`; seconds of all runs, and the last line of the last.

    Raises:
        CalledProcessError: it failed.
    """
    seconds, busy, said = [], [], ""
    for _ in range(runs):
        start, used = time.perf_counter(), _used()
        ran = subprocess.run(  # noqa: S603 - words of this benchmark
            [sys.executable, *words], capture_output=True, text=True, check=True, cwd=ROOT
        )
        seconds.append(time.perf_counter() - start)
        busy.append(_used() - used)
        said = ran.stdout.strip().rpartition("\n")[2]
    middle, least, most = (round(f(seconds), 3) for f in (median, min, max))
    return asdict(Times(middle, least, most, round(median(busy), 3), runs)), said


def _used() -> float:
    """Processor seconds of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
