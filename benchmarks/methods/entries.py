"""Entries: the rows of a comparison, methods with their options and strength."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import lorafusion as lf
from benchmarks.pocket.contenders import PERIOD, spent
from lorafusion.base import Base
from lorafusion.evaluation.testbeds import Combination
from lorafusion.methods import METHODS, asks_base, card_of, options_of
from lorafusion.plan import Plan, Route

Budget = Literal["own", "auto"]
AUTO = "auto"


@dataclass(frozen=True, eq=False)
class Entry:
    """One row of the comparison.

    Attributes:
        label: of the row.
        method: a name of `METHODS`.
        options: the method's.
        budget: "own" for the strength that the method has by itself; "auto" for what `auto` spends on the same set,
            summed over LoRAs and averaged over steps and branches.
        guidance: scale, where it is not that of the others.
        make: the plan, where it is no method's: an idea that was tried.
    """

    label: str
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    budget: Budget = "own"
    guidance: float | None = None
    make: Callable[[Route, int, Base], Plan] | None = None

    def ident(self, guidance: float) -> str:
        """What decides its pictures, in words, at the guidance that other rows have."""
        guidance = self.guidance or guidance
        if self.make is not None:
            return f"{self.method} [] own {guidance:g} {self.label}"
        # Defaults are among them, so that one that changes makes other pictures.
        named = [self.method] if self.budget == "own" else [self.method, AUTO]
        told = [sorted({**options_of(name), **self.options}.items()) for name in named]
        return f"{self.method} {told} {self.budget} {guidance:g}"

    def fits(self, one: Combination) -> bool:
        """Whether the method takes as many LoRAs."""
        card = card_of(self.method) if self.make is None else None
        return card is None or not card.pairs or len(one.elements) == 2

    @property
    def weighed(self) -> bool:
        """Whether its route is weighed by the prompt (LoRA Fusion, equation 1)."""
        return self.method in WEIGHED

    def plan(self, route: Route, steps: int, base: Base, auto: Route) -> Plan:
        """What the method makes of the route.

        Args:
            route: of the set's LoRAs.
            steps: of denoising.
            base: what methods ask about the base model.
            auto: the route with weights of 1, whose strength under `auto` is what "auto" means.
        """
        if self.make is not None:
            return self.make(route, steps, base)
        asked: dict[str, Any] = {"base": base} if asks_base(self.method) else {}
        made = lf.plan(self.method, route, steps, **asked, **self.options)
        if self.budget == "own":
            return made
        wanted = spent(lf.plan("auto", auto, steps, base=base))
        # A LoRA that was rewritten from all of them holds each at strength 1.
        rewritten = len(made.loras) == 1 < len(route.chosen)
        return made.scaled(wanted / (len(route.chosen) if rewritten else spent(made)))


WEIGHED = ("fusion", "w-switch", "w-composite")
"""Methods that are about the prompt's weights; the others have all LoRAs at weight 1."""
NEEDS_MORE = ("mole", "single")
"""Methods that are not compared here: gates are trained for one set, see gates.json; a single LoRA is a control of
the testbed."""
EQUAL = ("merge", "switch", "composite", "ssr", "ties")
"""Those that are shown at `auto`'s strength too; at an equal strength NLA and fusion are merge."""


def entries() -> list[Entry]:
    """Every method as it is by itself, then some at the strength of `auto`."""
    every = [name for name in METHODS if name not in NEEDS_MORE]
    own = [Entry(name, name, _period(name)) for name in every]
    return [
        *own,
        *(Entry(f"{name} at auto's strength", name, _period(name), "auto") for name in EQUAL),
    ]


def _period(name: str) -> Mapping[str, Any]:
    """Turns of 2 of 20 steps, the papers' 5 of 50."""
    return {"period": PERIOD} if "period" in options_of(name) else {}
