"""Wall times of fresh processes, and where they were taken."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Times:
    """Seconds of several runs."""

    median: float
    fastest: float
    slowest: float
    runs: int


def timed(words: Sequence[str], runs: int = 1) -> tuple[dict[str, Any], str]:
    """Run this interpreter with `words`; seconds of all runs, and the last line of the last.

    Raises:
        CalledProcessError: it failed.
    """
    seconds, said = [], ""
    for _ in range(runs):
        start = time.perf_counter()
        ran = subprocess.run(  # noqa: S603 - words of this benchmark
            [sys.executable, *words], capture_output=True, text=True, check=True, cwd=ROOT
        )
        seconds.append(time.perf_counter() - start)
        said = ran.stdout.strip().rpartition("\n")[2]
    middle, least, most = (round(f(seconds), 3) for f in (median, min, max))
    return asdict(Times(middle, least, most, runs)), said


def provenance() -> dict[str, Any]:
    """The state of the code, the versions and the machine that numbers belong to."""
    return {
        "command": "python -m benchmarks.library " + " ".join(sys.argv[1:]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "safetensors", "typer", "rich")},
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processors": os.cpu_count(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "niceness": os.nice(0),
    }


def _git(*words: str) -> str:
    ran = subprocess.run(["git", *words], capture_output=True, text=True, check=False, cwd=ROOT)  # noqa: S603, S607 - git
    return ran.stdout.strip()
