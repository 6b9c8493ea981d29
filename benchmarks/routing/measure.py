"""Measure: every run on every set with one encoder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from benchmarks.routing.catalogue import SETS, Case, Described, cases, catalogue
from benchmarks.routing.memo import Memo
from benchmarks.routing.metrics import Answer, answer, measure
from benchmarks.routing.runs import OURS, Run, fit, runs
from benchmarks.routing.timing import microseconds
from lorafusion.routing import ROUTERS, Encoder

_LOG = logging.getLogger(__name__)
TIMED = {"table3": "table3", "thousand": "thousand"}
"""Catalogue that is timed -> the set whose held-out prompts are used."""
POOL = "table3: all"
"""The three sets over the twelve LoRAs as one, which is how a user meets them."""
POOLED = ("table3", "nothing", "senses")


def measured(
    label: str, encoder: Encoder, wanted: Sequence[Run] | None = None, split: str = "heldout"
) -> list[dict[str, Any]]:
    """One row for each run and set: metrics, the options, F1 on tune.

    Args:
        label: the encoder's name in the results.
        encoder: makes keys and queries.
        wanted: all of `runs` when not given.
        split: what the metrics are of.
    """
    chosen = list(runs() if wanted is None else wanted)
    rows = []
    for name in dict.fromkeys(SETS.values()):
        entries = catalogue(name)
        keys = encoder.encode([entry.text for entry in entries])
        sets = [each for each, of in SETS.items() if of == name]
        times = _times(name, chosen, entries, keys, encoder)
        memo = Memo(encoder)
        for run in chosen:
            _LOG.info("%s: %s, %s", label, name, run.label)
            found = _answers(run, sets, split, entries, keys, memo)
            made = {"encoder": label, "catalogue": name, "microseconds": times.get(run.label)}
            rows += [made | row for row in found]
    return rows


def _answers(
    run: Run,
    sets: Sequence[str],
    split: str,
    entries: tuple[Described, ...],
    keys: Float[Tensor, "n d"],
    encoder: Encoder,
) -> list[dict[str, Any]]:
    """Rows of one run: options chosen on all tune sets of a catalogue together, answers on each set."""
    ours = run.router == OURS
    tune = [] if run.ablation else _route(run, _all(sets, "tune"), entries, keys, encoder)
    fitted = fit(run, tune)
    if fitted is not run:
        tune = _route(fitted, _all(sets, "tune"), entries, keys, encoder)
    asked = {name: _route(fitted, cases(name, split), entries, keys, encoder) for name in sets}
    if set(POOLED) <= set(sets):
        asked[POOL] = [one for name in POOLED for one in asked[name]]
    return [
        {
            "router": run.label,
            "name": run.router,
            "ours": ours,
            "ablation": run.ablation,
            "options": fitted.options,
            "chosen on tune": run.fitted,
            "tune f1": measure(tune)["f1"] if tune else None,
            "set": name,
        }
        | measure(answers)
        for name, answers in asked.items()
    ]


def _all(sets: Sequence[str], split: str) -> list[Case]:
    return [case for name in sets for case in cases(name, split)]


def _route(
    run: Run,
    prompts: Sequence[Case],
    entries: tuple[Described, ...],
    keys: Float[Tensor, "n d"],
    encoder: Encoder,
) -> list[Answer]:
    router = ROUTERS[run.router]
    return [
        answer(router(case.prompt, entries, keys, encoder, **run.options), case.wants)
        for case in prompts
    ]


def _times(
    name: str,
    chosen: Sequence[Run],
    entries: tuple[Described, ...],
    keys: Float[Tensor, "n d"],
    encoder: Encoder,
) -> dict[str, dict[str, Any]]:
    """Label -> times; before anything else, so that no prompt of these has been seen by a router."""
    if name not in TIMED:
        return {}
    prompts = cases(TIMED[name], "heldout")
    return {
        run.label: microseconds(run, entries, keys, encoder, prompts)
        for run in chosen
        if not run.ablation
    }
