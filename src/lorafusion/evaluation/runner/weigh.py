"""Weigh: from a cell to a route with its LoRAs chosen, and to a plan at its strength budget."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from lorafusion.evaluation.runner.cells import Cell, oracle_file
from lorafusion.evaluation.runner.config import CONTROLS, EQUAL, Bench
from lorafusion.evaluation.runner.studio import Kept, Studio
from lorafusion.library import Library
from lorafusion.methods import plan as make_plan
from lorafusion.plan import Candidate, Plan, Route
from lorafusion.routing import ROUTERS
from lorafusion.routing import route as make_route

ALONE = "merge"
"""What opens a single LoRA as it was trained: the control arms are made with it."""


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
        return _kept(_routed(prompt, bench, studio), studio)
    return _given(cell, bench, studio)


def plan_of(cell: Cell, route: Route, steps: int, strength: float) -> tuple[Plan, float]:
    """The plan at the cell's budget, and the strength that brought it there."""
    method = method_of(cell)
    options: dict[str, Any] = dict(cell.arm.options)
    plain = make_plan(method, route, steps, **options)
    if cell.arm.budget == "own":
        # A LoRA by itself is the control: it acts as it was trained.
        wanted = 1.0 if cell.arm.method in CONTROLS else strength
    else:
        full = cell.arm.budget == "full"
        budget = float(len(route.chosen)) if full else float(cell.arm.budget)
        total = opened(plain)
        wanted = budget / total if total > 0 else 1.0
    return make_plan(method, route, steps, strength=wanted, **options), wanted


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
    if bench.router == EQUAL:
        return _by_hand(prompt, [studio.kept(entry) for entry in entries], EQUAL)
    keys = dict(zip(studio.library.names, studio.library.keys(studio.encoder), strict=True))
    chosen = sorted(entries, key=lambda entry: entry.name)
    rows = torch.stack([keys[entry.name] for entry in chosen])
    found = ROUTERS[bench.router](
        prompt, tuple(chosen), rows, studio.encoder, **bench.router_options
    )
    by_name = {candidate.name: candidate for candidate in found.candidates}
    candidates = tuple(
        replace(by_name[entry.name], source=studio.kept(entry), left_out="") for entry in entries
    )
    settings = "".join(f", {key}={value}" for key, value in bench.router_options.items())
    return Route(prompt, candidates, f"{bench.router}(given{settings})")


def _routed(prompt: str, bench: Bench, studio: Studio) -> Route:
    options: dict[str, Any] = dict(bench.router_options)
    return make_route(
        prompt,
        studio.library,
        router=bench.router,
        encoder=studio.encoder,
        triggers=False,  # every method is to be given the testbed's own words
        **options,
    )


def _kept(route: Route, studio: Studio) -> Route:
    candidates = (
        replace(one, source=studio.kept(studio.library[one.name])) for one in route.candidates
    )
    return replace(route, candidates=tuple(candidates))
