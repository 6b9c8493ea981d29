"""Arms: the rows of a table, as the `methods` and `budgets` of a run's file say.

methods = ["naive", "alone", "merge", { name = "switch", period = 5 }, { name = "merge", strength = 1.5 }]
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lorafusion.errors import BadOption, UnknownName
from lorafusion.evaluation.fields import Kinds, checked
from lorafusion.methods import METHODS, options_of
from lorafusion.registry import unknown
from lorafusion.routing import ROUTERS
from lorafusion.routing import options_of as router_options

CONTROLS = ("alone", "oracle")
"""Arms that are no method: each LoRA of a set by itself, and a LoRA trained on that very set."""
EQUAL = "equal"
"""The router that gives every LoRA of a set the same weight, the weights summing to 1."""
CHANGES: Kinds = {
    "strength": float, "steps": int, "guidance_scale": float, "router": str, "router_options": dict,
    "sets": int,
}  # fmt: skip
"""What one arm may do otherwise than the run: field -> type. `sets`: on so many of the run's sets alone."""
_LABEL = re.compile(r"[\w.=,+-]+")


@dataclass(frozen=True)
class Arm:
    """One row of the table: a method with its options at one strength budget.

    Attributes:
        name: unique in its run, and a file name.
        method: a name of `METHODS`, or of `CONTROLS`.
        options: of the method.
        budget: "own": the method's gates times the strength. A number: gates are scaled so that they
            sum to it, on average over steps and branches. "full": to the number of LoRAs.
        changes: fields of `CHANGES` that replace the run's own.
    """

    name: str
    method: str
    options: Mapping[str, object]
    budget: float | str = "own"
    changes: Mapping[str, Any] = field(default_factory=dict)


def arms_of(where: str, table: Mapping[str, Any]) -> tuple[Arm, ...]:
    """The arms of a run.

    Args:
        where: starts the message of an error.
        table: the run's fields.

    Raises:
        BadOption, UnknownName: a method, option, change or budget that does not exist or is out of
            range, two arms of one name, or none.
    """
    budgets = table.get("budgets", ["own"])
    for budget in budgets:
        number = isinstance(budget, int | float) and not isinstance(budget, bool)
        if budget not in ("own", "full") and not (number and budget > 0):
            raise BadOption(f"{where}: a budget is {budget!r}; give own, full or a number over 0")
    arms: list[Arm] = []
    for each in table["methods"]:
        arm = _arm(where, each, table)
        # What no budget changes is made once: no LoRA, one LoRA as trained, a strength of its own.
        fixed = arm.method in (*CONTROLS, "naive") or "strength" in arm.changes
        for budget in ["own"] if fixed else budgets:
            name = arm.name if budget == "own" else f"{arm.name}+{_said(budget)}"
            arms.append(Arm(name, arm.method, arm.options, budget, arm.changes))
    names = [arm.name for arm in arms]
    for name in names:
        if names.count(name) > 1:
            raise BadOption(f"{where}: two methods are called {name!r}; give one a label")
    if not arms:
        raise BadOption(f"{where}: methods is empty; name at least one")
    return tuple(arms)


def check_router(where: str, router: str, options: Mapping[str, object], choice: str) -> None:
    """Refuse a router, or an option of it, that there is not.

    Raises:
        UnknownName: there is none of this name.
    """
    if router == EQUAL and choice == "given":
        known: list[str] = []
    elif router not in ROUTERS:
        raise UnknownName(f"{where}: {unknown('router', router, [EQUAL, *ROUTERS])}")
    else:
        known = list(router_options(router))
    for name in options:
        if name not in known:
            raise UnknownName(f"{where}: {unknown(f'option of router {router!r}', name, known)}")


def arms_as_data(arms: tuple[Arm, ...]) -> list[dict[str, object]]:
    """The arms as plain values."""
    return [asdict(arm) for arm in arms]


def _arm(where: str, each: object, table: Mapping[str, Any]) -> Arm:
    if isinstance(each, str):
        each = {"name": each}
    if not isinstance(each, dict) or not isinstance(each.get("name"), str):
        raise BadOption(f'{where}: a method is {each!r}; write a name or {{ name = "switch" }}')
    method = each["name"]
    if method not in CONTROLS and method not in METHODS:
        raise UnknownName(f"{where}: {unknown('method', method, [*METHODS, *CONTROLS])}")
    given = {key: value for key, value in each.items() if key not in ("name", "label")}
    known = list(options_of(method)) if method not in CONTROLS else []
    options = {key: value for key, value in given.items() if key not in CHANGES}
    for name in options:
        if name not in known:
            kind = f"option of method {method!r}"
            raise UnknownName(f"{where}: {unknown(kind, name, [*known, *CHANGES])}")
    changes = {key: value for key, value in given.items() if key in CHANGES}
    _check_changes(f"{where}: method {method!r}", changes, table)
    said = {key: value for key, value in given.items() if key != "sets"}
    written = ",".join([method, *(f"{key}={value}" for key, value in said.items())])
    label = str(each.get("label", written))
    if not _LABEL.fullmatch(label):
        raise BadOption(f"{where}: label {label!r} is no file name; use letters, digits, . , = + -")
    return Arm(label, method, options, changes=changes)


def _check_changes(where: str, changes: Mapping[str, Any], table: Mapping[str, Any]) -> None:
    checked(where, dict(changes), CHANGES)
    for name, least in (("strength", 0), ("steps", 1), ("guidance_scale", 0), ("sets", 1)):
        if changes.get(name, least) < least:
            raise BadOption(f"{where}: {name} is {changes[name]}; it must be at least {least}")
    if "router" in changes or "router_options" in changes:
        router = changes.get("router", table.get("router", "cosine"))
        choice = table.get("choice", "given")
        check_router(where, router, changes.get("router_options", {}), choice)


def _said(budget: float | str) -> str:
    return budget if isinstance(budget, str) else f"{budget:g}"
