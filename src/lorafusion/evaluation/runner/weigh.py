"""Weigh: from a cell to a route with its LoRAs chosen, and to a plan at its strength budget."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lorafusion.base import Base
from lorafusion.evaluation.runner.arms import CONTROLS, EQUAL
from lorafusion.evaluation.runner.cells import Cell, oracle_file
from lorafusion.evaluation.runner.config import Bench
from lorafusion.evaluation.runner.studio import Kept, Studio
from lorafusion.generate import Request
from lorafusion.library import Library
from lorafusion.methods import plan as make_plan
from lorafusion.plan import Candidate, Plan, Route
from lorafusion.routing import ROUTERS
from lorafusion.routing import route as make_route

ALONE = "merge"
"""What opens a single LoRA as it was trained: the control arms are made with it."""


def request_of(cell: Cell, bench: Bench, strength: float) -> Request:
    """What a cell asks of the pipeline; `strength` is the one that its plan was made with."""
    setting = bench.bed.settings[cell.combination.setting]
    return Request(
        prompt=cell.combination.prompt,
        seeds=(bench.bed.seed(cell.combination, cell.seed),),
        steps=steps_of(cell, bench),
        negative_prompt=setting.negative_prompt,
        guidance_scale=cell.arm.changes.get("guidance_scale", setting.guidance_scale),
        width=setting.width,
        height=setting.height,
        method=method_of(cell),
        options=dict(cell.arm.options),
        strength=strength,
    )


def steps_of(cell: Cell, bench: Bench) -> int:
    """Denoising steps: the arm's own, or its setting's."""
    return int(cell.arm.changes.get("steps", bench.bed.settings[cell.combination.setting].steps))


def method_of(cell: Cell) -> str:
    """The composition method that makes a cell."""
    return ALONE if cell.arm.method in CONTROLS else cell.arm.method


def route_of(cell: Cell, bench: Bench, studio: Studio) -> Route:
    """The LoRAs of a cell and their weights.

    Raises:
        InputError: as the router, or the oracle's file cannot be read.
    """
    prompt = cell.combination.prompt
    if cell.arm.method == "oracle":
        file = oracle_file(bench, cell.combination)
        assert file is not None  # units() makes no such cell otherwise
        assert bench.oracles is not None
        entry = Library(bench.oracles)[file.stem]
        return _by_hand(prompt, [studio.kept(entry)], "oracle")
    if cell.arm.method == "alone":
        element = next(e for e in cell.combination.elements if e.name == cell.variant)
        return _by_hand(prompt, [studio.kept(studio.entry(element))], "alone")
    if bench.choice == "routed":
        return _kept(_routed(cell, bench, studio), studio)
    return _given(cell, bench, studio)


def plan_of(
    cell: Cell, route: Route, steps: int, strength: float, base: Base | None = None
) -> tuple[Plan, float]:
    """The plan at the cell's budget, and the strength that brought it there.

    Args:
        cell: its method and budget.
        route: as `route_of` gives it.
        steps: denoising steps.
        strength: of the run; an arm's own goes before it.
        base: for methods that ask about the base model.
    """
    method = method_of(cell)
    options: dict[str, Any] = dict(cell.arm.options)
    if cell.arm.budget == "own":
        # A LoRA by itself is the control: it acts as it was trained, unless its arm says otherwise.
        usual = 1.0 if cell.arm.method in CONTROLS else strength
        wanted = float(cell.arm.changes.get("strength", usual))
    else:
        full = cell.arm.budget == "full"
        budget = float(len(route.chosen)) if full else float(cell.arm.budget)
        total = opened(make_plan(method, route, steps, base=base, **options))
        wanted = budget / total if total > 0 else 1.0
    return make_plan(method, route, steps, strength=wanted, base=base, **options), wanted


def opened(plan: Plan) -> float:
    """How far all LoRAs together are open: the sum of gates, on average over steps and branches."""
    return float((plan.gates * plan.mix[..., None]).sum((1, 2)).mean()) if plan.steps else 0.0


def _by_hand(prompt: str, sources: list[Kept], router: str) -> Route:
    weight = 1.0 / len(sources)
    return Route(prompt, tuple(Candidate(one, weight, weight) for one in sources), router)


def _given(cell: Cell, bench: Bench, studio: Studio) -> Route:
    """Exactly the set's LoRAs, weighed among themselves; one that the router leaves out has weight 0."""
    prompt = cell.combination.prompt
    entries = [studio.entry(element) for element in cell.combination.elements]
    router, options = _router_of(cell, bench)
    if router == EQUAL:
        return _by_hand(prompt, [studio.kept(entry) for entry in entries], EQUAL)
    keys = dict(zip(studio.library.names, studio.library.keys(studio.encoder), strict=True))
    chosen = sorted(entries, key=lambda entry: entry.name)
    rows = np.stack([keys[entry.name] for entry in chosen])
    found = ROUTERS[router](prompt, tuple(chosen), rows, studio.encoder, **options)
    by_name = {candidate.name: candidate for candidate in found.candidates}
    candidates = tuple(
        replace(by_name[entry.name], source=studio.kept(entry), left_out="") for entry in entries
    )
    settings = "".join(f", {key}={value}" for key, value in options.items())
    return Route(prompt, candidates, f"{router}(given{settings})")


def _routed(cell: Cell, bench: Bench, studio: Studio) -> Route:
    router, options = _router_of(cell, bench)
    return make_route(
        cell.combination.prompt,
        studio.library,
        router=router,
        encoder=studio.encoder,
        triggers=False,  # every method is to be given the testbed's own words
        **options,
    )


def _router_of(cell: Cell, bench: Bench) -> tuple[str, dict[str, Any]]:
    """Who weighs the LoRAs of a cell; another router than the run's does not take its options."""
    changes = cell.arm.changes
    router = str(changes.get("router", bench.router))
    usual = bench.router_options if router == bench.router else {}
    return router, dict(changes.get("router_options", usual))


def _kept(route: Route, studio: Studio) -> Route:
    candidates = (
        replace(one, source=studio.kept(studio.library[one.name])) for one in route.candidates
    )
    return replace(route, candidates=tuple(candidates))
