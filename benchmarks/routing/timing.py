"""Timing: microseconds of processor time a prompt on one thread, encoder included, after a warm-up.

Processor time and not the clock on the wall, which counts what else the machine does.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import Any

from jaxtyping import Float
from torch import Tensor

from benchmarks.routing.catalogue import Case
from benchmarks.routing.runs import Run
from lorafusion.plan import Source
from lorafusion.routing import ROUTERS, Encoder

WARM = 5
"""Prompts before the clock starts: models are loaded, keys are made, spans of these are known."""
TIMED = 25
"""Prompts that are timed, each once and each a new one."""


def microseconds(
    run: Run,
    entries: tuple[Source, ...],
    keys: Float[Tensor, "n d"],
    encoder: Encoder,
    cases: Sequence[Case],
) -> dict[str, Any]:
    """Processor time of one routing: the least, the median and the greatest of `TIMED` prompts."""
    router = ROUTERS[run.router]
    spent, passed = [], []
    for case in cases[: WARM + TIMED]:
        start, wall = time.process_time(), time.perf_counter()
        router(case.prompt, entries, keys, encoder, **run.options)
        spent.append((time.process_time() - start) * 1e6)
        passed.append((time.perf_counter() - wall) * 1e6)
    spent, passed = spent[WARM:], passed[WARM:]
    return {
        "prompts": len(spent),
        "least": round(min(spent)),
        "median": round(median(spent)),
        "most": round(max(spent)),
        "median by the clock": round(median(passed)),
    }
