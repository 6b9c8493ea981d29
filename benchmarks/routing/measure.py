"""Measure: every run on every set with one encoder."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from benchmarks.routing.catalogue import SETS, TUNING, Case, cases, catalogue
from benchmarks.routing.memo import Memo
from benchmarks.routing.metrics import Answer, answer, f1, measure
from benchmarks.routing.parts import REFITTED, without
from benchmarks.routing.runs import Run, fit, runs
from lorafusion.library.keys import rows_of
from lorafusion.plan import Source
from lorafusion.routing import ROUTERS, Encoder

_LOG = logging.getLogger(__name__)
POOL = "table3: all"
"""The three sets over the twelve LoRAs as one, which is how a user meets them."""
POOLED = ("table3", "nothing", "senses")
FITTED_ON = 100
"""Prompts of a set on which options are chosen, at least."""
ABLATED = frozenset({*POOLED, "meanings", "dozen", "composlora-sentences", "thousand"})
"""Sets that ours is measured on without its parts."""


def measured(
    label: str,
    encoder: Encoder,
    wanted: Sequence[Run] | None = None,
    split: str = "heldout",
    only: Collection[str] | None = None,
) -> list[dict[str, Any]]:
    """One row for each run and set: metrics, the options, F1 on tune.

    Args:
        label: the encoder's name in the results.
        encoder: makes keys and queries.
        wanted: all of `runs` when not given.
        split: what the metrics are of.
        only: these sets; all when not given.
    """
    chosen = list(runs() if wanted is None else wanted)
    rows = []
    chosen_sets = {each: of for each, of in SETS.items() if only is None or each in only}
    for name in dict.fromkeys(chosen_sets.values()):
        entries = catalogue(name)
        keys = rows_of(encoder.encode([entry.text for entry in entries]))
        sets = [each for each, of in chosen_sets.items() if of == name]
        memo = Memo(encoder)
        for run in chosen:
            _LOG.info("%s: %s, %s", label, name, run.label)
            mine = [each for each in sets if each in ABLATED] if run.part else sets
            with without(run.part):
                # a router may remember what it has made of these very entries, with all its parts
                own = catalogue(name) if run.part and mine else entries
                found = _answers(run, mine, split, own, keys, memo)
            rows += [{"encoder": label, "catalogue": name} | row for row in found]
    return rows


def _answers(
    run: Run,
    sets: Sequence[str],
    split: str,
    entries: tuple[Source, ...],
    keys: Float[np.ndarray, "n d"],
    encoder: Encoder,
) -> list[dict[str, Any]]:
    """Rows of one run: options chosen on all tune sets of a catalogue together, answers on each set."""
    fitted, tune = _fitted(run, sets, entries, keys, encoder)
    asked = {name: _route(fitted, cases(name, split), entries, keys, encoder) for name in sets}
    if set(POOLED) <= set(sets):
        asked[POOL] = [one for name in POOLED for one in asked[name]]
    about = {
        "router": run.label,
        "name": run.router,
        "part": run.part,
        "options": fitted.options,
        "chosen on tune": [name for name in fitted.options if name not in run.options],
        "tune f1": tune,
    }
    return [about | {"set": name} | measure(answers) for name, answers in asked.items()]


def _fitted(
    run: Run,
    sets: Sequence[str],
    entries: tuple[Source, ...],
    keys: Float[np.ndarray, "n d"],
    encoder: Encoder,
) -> tuple[Run, float | None]:
    """The run with the options that are best on tune, and its F1 there; an ablation of ours has none there."""

    def on_tune(one: Run) -> list[Answer]:
        prompts = [case for name in sets for case in _spread(cases(name, *TUNING))]
        return _route(one, prompts, entries, keys, encoder)

    if run.part and run.part in REFITTED:
        tried = [replace(run, options={"threshold": value}) for value in REFITTED[run.part]]
        rated = {one.options["threshold"]: f1(on_tune(one)) or 0.0 for one in tried}
        best = max(rated, key=rated.__getitem__)
        return replace(run, options={"threshold": best}), round(rated[best], 4)
    if run.part:
        return run, None
    fitted = fit(run, on_tune(run)) if run.fitted else run
    return fitted, measure(on_tune(fitted))["f1"]


def _spread(found: Sequence[Case]) -> Sequence[Case]:
    """Every so-manieth case, so that both wordings take part."""
    return found[:: max(1, len(found) // FITTED_ON)]


def _route(
    run: Run,
    prompts: Sequence[Case],
    entries: tuple[Source, ...],
    keys: Float[np.ndarray, "n d"],
    encoder: Encoder,
) -> list[Answer]:
    router = ROUTERS[run.router]
    return [
        answer(router(case.prompt, entries, keys, encoder, **run.options), case.wants)
        for case in prompts
    ]
