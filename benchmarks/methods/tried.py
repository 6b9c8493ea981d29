"""What was tried for `auto`, one idea a row, on the half of the sets that is not reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

import lorafusion as lf
from benchmarks.methods.entries import Entry
from lorafusion.base import Base
from lorafusion.plan import Plan, Route

Idea = Callable[[Route, int, Base], Plan]


def entries() -> list[Entry]:
    """`merge`, and each idea."""
    ideas = {
        "merge": _constant(lambda _: 1.0),
        "all at 0.8": _constant(lambda _: 0.8),
        "all at 0.6": _constant(lambda _: 0.6),
        "styles at 0.75": _constant(_styles(0.75)),
        "styles at 0.5": _constant(_styles(0.5)),
        "styles at 0.25": _constant(_styles(0.25)),
        "styles at 0.5, places at 0.75": _constant(_by(style=0.5, background=0.75)),
        "styles at 0.5, the rest at 0.85": _constant(_styles(0.5, 0.85)),
        "styles at 0.5, the rest at 0.7": _constant(_styles(0.5, 0.7)),
        "styles at 0.6, the rest at 0.85": _constant(_styles(0.6, 0.85)),
        "styles at 0.5, the rest at 1.2": _constant(_styles(0.5, 1.2)),
        "styles in the last 12 of 20 steps": _late(0.4, 1.0),
        "styles in the last 9 of 20 steps, at 0.7": _late(0.55, 0.7),
        "styles in the last 9 of 20 steps, at 0.8, the rest at 0.85": _late(0.55, 0.8, 0.85),
        "styles in the last 6 of 20 steps": _late(0.7, 1.0),
        "all but for the first 3 steps": _after(0.15),
        "styles in the way up alone": _layers("up_blocks"),
        "styles in attentions alone": _layers("attentions"),
        "text encoders as they were": _deaf,
        "effects added up as predictions": _added,
        "purified (SSR's router)": _purified(1e-4),
        "purified, more ridge": _purified(1e-2),
        "styles at 0.5, purified, more ridge": _purified(1e-2, 0.5),
        "sizes evened": _auto(even=1.0),
        "at most 3 in sum": _auto(budget=3.0),
        "at most 4 in sum": _auto(budget=4.0),
    }  # fmt: skip
    rows = [Entry(label, "by hand", make=make) for label, make in ideas.items()]
    stronger = Entry("styles at 0.5, guidance 6", "by hand", guidance=6.0,
                     make=ideas["styles at 0.5"])  # fmt: skip
    return [*rows, stronger]


def _constant(strength: Callable[[str], float]) -> Idea:
    """Each LoRA at the strength of its category, in every step."""

    def make(route: Route, steps: int, base: Base) -> Plan:
        del base
        gates = torch.tensor([strength(one.source.category) for one in route.chosen])
        return _plan(route, gates.expand(steps, 1, -1))

    return make


def _by(**strengths: float) -> Callable[[str], float]:
    return lambda category: strengths.get(category, 1.0)


def _styles(style: float, rest: float = 1.0) -> Callable[[str], float]:
    return lambda category: style if category == "style" else rest


def _late(share: float, strength: float, rest: float = 1.0) -> Idea:
    """Styles closed for the first share of the steps, then at this strength."""

    def make(route: Route, steps: int, base: Base) -> Plan:
        del base
        gates = torch.full((steps, 1, len(route.chosen)), rest)
        for place, one in enumerate(route.chosen):
            if one.source.category == "style":
                gates[: round(share * steps), :, place] = 0
                gates[round(share * steps) :, :, place] = strength
        return _plan(route, gates)

    return make


def _after(share: float) -> Idea:
    """Every LoRA closed for the first share of the steps."""

    def make(route: Route, steps: int, base: Base) -> Plan:
        del base
        gates = torch.ones(steps, 1, len(route.chosen))
        gates[: round(share * steps)] = 0
        return replace(_plan(route, gates), text_gates=torch.ones_like(gates))

    return make


def _layers(word: str) -> Idea:
    """Styles act where the path of a layer has this word, and in the text encoders."""

    def make(route: Route, steps: int, base: Base) -> Plan:
        del base
        plan = _plan(route, torch.ones(steps, 1, len(route.chosen)))
        loras = tuple(
            replace(lora, deltas={path: d for path, d in lora.deltas.items() if word in path or path[:4] == "text"})
            if one.source.category == "style"
            else lora
            for one, lora in zip(route.chosen, plan.loras, strict=True)
        )  # fmt: skip
        return replace(plan, loras=loras)

    return make


def _deaf(route: Route, steps: int, base: Base) -> Plan:
    """The text encoders' parts closed."""
    del base
    plan = _plan(route, torch.ones(steps, 1, len(route.chosen)))
    return replace(plan, text_gates=torch.zeros_like(plan.gates))


def _added(route: Route, steps: int, base: Base) -> Plan:
    """e_0 + sum_l (e_l - e_0): L + 1 predictions, which meet in no layer."""
    del base
    count = len(route.chosen)
    gates = torch.cat([torch.zeros(1, count), torch.eye(count)]).expand(steps, -1, -1)
    mix = torch.tensor([1.0 - count, *[1.0] * count]).expand(steps, -1)
    plan = _plan(route, gates)
    return replace(plan, mix=mix)


def _purified(ridge: float, style: float = 1.0) -> Idea:
    def make(route: Route, steps: int, base: Base) -> Plan:
        plan = _auto(purify=True, ridge=ridge)(route, steps, base)
        strengths = torch.tensor([_styles(style)(one.source.category) for one in route.chosen])
        return replace(plan, gates=plan.gates * strengths, text_gates=plan.gates * strengths)

    return make


def _auto(**options: Any) -> Idea:
    """One option of `auto`, and nothing else of it."""

    def make(route: Route, steps: int, base: Base) -> Plan:
        return lf.plan("auto", route, steps, base=base, **{"reach": 0.0, **options})

    return make


def _plan(route: Route, gates: Tensor) -> Plan:
    return Plan.of(tuple(one.source.load() for one in route.chosen), gates.contiguous())
