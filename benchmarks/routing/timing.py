"""Timing: microseconds of processor time a prompt on one thread, encoder included, after a warm-up.

Processor time and not the clock on the wall, which counts what else the machine does. The routers take
turns, some prompts each, so that what slows the machine for a while slows all of them, and each has its
own weights and keys in the processor's caches, as where it is the only one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import Any

from jaxtyping import Float
from torch import Tensor

from benchmarks.routing.catalogue import Case, cases, catalogue
from benchmarks.routing.runs import OURS, Run
from lorafusion.plan import Source
from lorafusion.routing import ROUTERS, Encoder
from lorafusion.routing.keyring import keyring

CATALOGUES = ("table3", "thousand")
"""Catalogues that are timed, with the held-out prompts of their set."""
WARM = 5
"""Prompts before the clock starts: models are loaded and keys are made."""
TIMED = 60
"""Prompts that are timed, each once and each a new one."""
TURN = 13
"""Prompts of one turn."""


def times(runs: Sequence[Run], encoder: Encoder) -> dict[str, dict[str, dict[str, Any]]]:
    """Catalogue -> label of a run -> its times; runs that miss a part are not timed."""
    whole = [run for run in runs if not run.part]
    found = {}
    for name in CATALOGUES:
        entries = catalogue(name)
        keys = encoder.encode([entry.text for entry in entries])
        found[name] = microseconds(whole, entries, keys, encoder, cases(name, "heldout"))
    return found


def microseconds(
    runs: Sequence[Run],
    entries: tuple[Source, ...],
    keys: Float[Tensor, "n d"],
    encoder: Encoder,
    prompts: Sequence[Case],
) -> dict[str, dict[str, Any]]:
    """Label -> processor time of one routing: the least, the median and the greatest of `TIMED` prompts."""
    passed: dict[str, list[tuple[float, float]]] = {run.label: [] for run in runs}
    for first in range(0, WARM + TIMED, TURN):
        for run in runs:
            for case in prompts[first : min(first + TURN, WARM + TIMED)]:
                if run.router == OURS:
                    # words that earlier prompts had too are encoded again: each prompt is quite new
                    keyring(entries, encoder).forget()
                start, wall = time.process_time(), time.perf_counter()
                ROUTERS[run.router](case.prompt, entries, keys, encoder, **run.options)
                spent = time.process_time() - start
                passed[run.label].append((spent * 1e6, (time.perf_counter() - wall) * 1e6))
    return {label: _summary(rows[WARM:]) for label, rows in passed.items()}


def _summary(rows: Sequence[tuple[float, float]]) -> dict[str, Any]:
    spent, passed = zip(*rows, strict=True)
    return {
        "prompts": len(rows),
        "least": round(min(spent)),
        "median": round(median(spent)),
        "most": round(max(spent)),
        "median by the clock": round(median(passed)),
    }
