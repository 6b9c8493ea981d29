"""Contenders: the methods of the table, at the strength of their papers and at an equal one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import lorafusion as lf
from lorafusion.plan import Plan, Route

EQUAL = 2.0
"""The equal budget: LoRAs act with this strength in sum, averaged over steps and branches."""
PERIOD = 2
"""Steps per turn of switch: the paper's 5 of 50 steps."""

Budget = Literal["paper", "equal"]


@dataclass(frozen=True)
class Contender:
    """A row of the table.

    Attributes:
        method: a name of `lorafusion.methods.METHODS`.
        budget: "paper" for the strength that it was published with; "equal" for EQUAL in sum.
        weighed: whether its route is weighed by the prompt; otherwise all LoRAs weigh the same.
        options: of the method.
    """

    method: str
    budget: Budget
    weighed: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What the row is called."""
        return self.method if self.budget == "paper" else f"{self.method}, strength {EQUAL:g}"

    def plan(self, route: Route, steps: int) -> Plan:
        """The plan of this method for a route and so many denoising steps."""
        made = lf.plan(self.method, route, steps, **self.options)
        if self.budget == "paper":
            return made
        return made.scaled(EQUAL / spent(made))


def spent(plan: Plan) -> float:
    """The strength of all LoRAs in sum, averaged over steps and branches."""
    return float((plan.gates.sum(dim=2) * plan.mix).sum(dim=1).mean())


CONTENDERS: tuple[Contender, ...] = (
    Contender("naive", "paper"),
    Contender("single", "paper", weighed=True),
    Contender("merge", "paper"),
    Contender("nla", "paper"),
    Contender("fusion", "paper", weighed=True),
    Contender("switch", "paper", options={"period": PERIOD}),
    Contender("composite", "paper"),
    # At an equal strength NLA is merge, and so is fusion but for the unevenness of its weights.
    Contender("merge", "equal"),
    Contender("switch", "equal", options={"period": PERIOD}),
    Contender("composite", "equal"),
)
ORACLE = "oracle"
"""One LoRA trained on the whole set, by ``python -m recipes.pocket oracle``."""
TRUE = "true pictures"
"""Renders through the autoencoder: the most that a scorer could give."""


def labels() -> Iterator[str]:
    """What the rows are called, in the order of the table."""
    yield from (one.label for one in CONTENDERS)
    yield ORACLE
    yield TRUE
