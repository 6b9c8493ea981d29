"""Timing: microseconds of processor time a prompt on one thread, encoder included, after a warm-up.

Processor time and not the clock on the wall, which counts what else the machine does. The routers take
turns, some prompts each, so that what slows the machine for a while slows all of them, and each has its
own weights and keys in the processor's caches, as where it is the only one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.routing.catalogue import Case, cases, catalogue
from benchmarks.routing.runs import OURS, Run
from lorafusion.library.described import Described
from lorafusion.library.keys import rows_of
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
NEW = ", nothing remembered"
"""End of the label of a row that forgets what earlier prompts said."""


@dataclass(frozen=True)
class Turn:
    """One row: a router before a catalogue of its own.

    Attributes:
        run: the router and its options.
        entries: the catalogue.
        forgets: whether words that earlier prompts had too are encoded again, each prompt quite new.
    """

    run: Run
    entries: tuple[Described, ...]
    forgets: bool = False

    @property
    def label(self) -> str:
        """What the row is called."""
        return f"{self.run.label}{NEW}" if self.forgets else self.run.label


def times(runs: Sequence[Run], encoder: Encoder) -> dict[str, dict[str, dict[str, Any]]]:
    """Catalogue -> label of a row -> its times; runs that miss a part are not timed."""
    whole = [run for run in runs if not run.part]
    found = {}
    for name in CATALOGUES:
        entries = catalogue(name)
        turns = [Turn(run, entries) for run in whole]
        turns += [Turn(run, catalogue(name), forgets=True) for run in whole if run.router == OURS]
        found[name] = microseconds(turns, encoder, cases(name, "heldout"))
    return found


def microseconds(
    turns: Sequence[Turn], encoder: Encoder, prompts: Sequence[Case]
) -> dict[str, dict[str, Any]]:
    """Label -> processor time of one routing: the least, the median and the greatest of `TIMED` prompts."""
    keys = rows_of(encoder.encode([entry.text for entry in turns[0].entries]))
    passed: dict[str, list[tuple[float, float]]] = {turn.label: [] for turn in turns}
    for first in range(0, WARM + TIMED, TURN):
        for turn in turns:
            for case in prompts[first : min(first + TURN, WARM + TIMED)]:
                if turn.forgets:
                    keyring(turn.entries, encoder).forget()
                start, wall = time.process_time(), time.perf_counter()
                ROUTERS[turn.run.router](
                    case.prompt, turn.entries, keys, encoder, **turn.run.options
                )
                spent = time.process_time() - start
                passed[turn.label].append((spent * 1e6, (time.perf_counter() - wall) * 1e6))
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
