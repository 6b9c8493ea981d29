"""Bench: what a run makes, as its TOML file says.

testbed = "pocket-480"                    # a name, or a manifest's path
methods = ["naive", "alone", "merge", "nla", "fusion", { name = "switch", period = 5 }, "composite"]
seeds = 2                                 # images of each set and method
budgets = ["own"]                         # or numbers, or "full"
router = "cosine"                         # who weighs the set's LoRAs; "equal" for nobody
out = "runs/pocket"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lorafusion.errors import BadOption, UnknownName
from lorafusion.evaluation.fields import Kinds, checked, toml
from lorafusion.evaluation.metrics import METRICS
from lorafusion.evaluation.testbeds import Testbed, open_testbed
from lorafusion.methods import METHODS, options_of
from lorafusion.registry import unknown
from lorafusion.routing import ROUTERS
from lorafusion.routing import options_of as router_options

CONTROLS = ("alone", "oracle")
"""Arms that are no method: each LoRA of a set by itself, and a LoRA trained on that very set."""
EQUAL = "equal"
"""The router that gives every LoRA of a set the same weight, the weights summing to 1."""

_FIELDS: Kinds = {
    "testbed": str, "methods": list, "seeds": int, "budgets": list, "sets": int, "sizes": list,
    "router": str, "router_options": dict, "encoder": str, "choice": str, "strength": float, "steps": int,
    "metrics": list, "base": str, "loras": str, "oracles": str, "out": str, "executor": str, "dtype": str,
    "device": str,
}  # fmt: skip
UNDECIDING = ("out", "device", "executor", "metrics")
"""Fields that may change between two calls for the same run."""
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
    """

    name: str
    method: str
    options: Mapping[str, object]
    budget: float | str = "own"


@dataclass(frozen=True)
class Measured:
    """A metric that the report has, with its options."""

    name: str
    options: Mapping[str, object]


@dataclass(frozen=True, eq=False)
class Bench:
    """A whole run.

    Attributes:
        bed: the sets that are made.
        arms: the rows of the table.
        metrics: the columns of the table; they may change while the images stay.
        seeds: images of each set and arm.
        router: a name of `ROUTERS` or "equal".
        router_options: of the router.
        encoder: what the router compares words with.
        choice: "given": exactly the set's LoRAs act. "routed": the router chooses among all of the
            folder, as it does for users.
        strength: factor on all gates at budget "own".
        loras: folder of LoRA files; None for those that come with pocket.
        oracles: folder with ``<set>.safetensors``; None when there is none.
        base: replaces the settings' base model; "" for theirs.
        out: folder of the run.
        executor: a name of `EXECUTORS`, or "auto".
        dtype: "auto", "float32", "float16" or "bfloat16".
        device: "auto", "cpu" or "cuda".
        text: everything above as plain values, to compare runs by.
    """

    bed: Testbed
    arms: tuple[Arm, ...]
    metrics: tuple[Measured, ...]
    seeds: int
    router: str
    router_options: Mapping[str, object]
    encoder: str
    choice: str
    strength: float
    loras: Path | None
    oracles: Path | None
    base: str
    out: Path
    executor: str
    dtype: str
    device: str
    text: Mapping[str, object]


def read_bench(path: Path) -> Bench:
    """Read the file of a run; relative paths start at its folder.

    Raises:
        UnreadableFile: the file is missing or is not TOML.
        BadOption, UnknownName: a field that is missing, unknown, of another type or out of range.
    """
    folder = path.parent
    table = checked(str(path), toml(path), _FIELDS, ("testbed", "methods"))
    bed = _bed(table, folder)
    seeds, choice = table.get("seeds", 1), table.get("choice", "given")
    if seeds < 1:
        raise BadOption(f"{path}: seeds is {seeds}; each set needs at least 1 image")
    if choice not in ("given", "routed"):
        raise UnknownName(f"{path}: {unknown('choice', choice, ['given', 'routed'])}")
    router = table.get("router", "cosine")
    if table.get("encoder") == "pipeline":
        raise BadOption(
            f"{path}: encoder is 'pipeline', but a run may have several base models; give minilm or a "
            "sentence-transformers model"
        )
    _check_router(str(path), router, table.get("router_options", {}), choice)
    arms = _arms(str(path), table)
    metrics = tuple(_metric(str(path), each) for each in table.get("metrics", ["spread"]))
    text = {key: value for key, value in table.items() if key not in UNDECIDING}
    return Bench(
        bed=bed,
        arms=arms,
        metrics=metrics,
        seeds=seeds,
        router=router,
        router_options=table.get("router_options", {}),
        encoder=table.get("encoder", "minilm"),
        choice=choice,
        strength=float(table.get("strength", bed.strength)),
        loras=_folder(folder, table, "loras"),
        oracles=_folder(folder, table, "oracles"),
        base=table.get("base", ""),
        out=_folder(folder, table, "out") or path.with_suffix(""),
        executor=table.get("executor", "auto"),
        dtype=table.get("dtype", "auto"),
        device=table.get("device", "auto"),
        text=text | {"prompts": {one.name: one.prompt for one in bed.combinations}},
    )


def _bed(table: Mapping[str, Any], folder: Path) -> Testbed:
    bed = open_testbed(table["testbed"], folder)
    if "sizes" in table:
        bed = bed.of_sizes(table["sizes"])
    if "sets" in table:
        bed = bed.drawn(bed.share(table["sets"]))
    if "steps" in table:
        if table["steps"] < 1:
            raise BadOption(f"steps is {table['steps']}; it must be at least 1")
        bed = bed.in_steps(table["steps"])
    return bed


def _folder(folder: Path, table: Mapping[str, Any], name: str) -> Path | None:
    return folder / Path(table[name]).expanduser() if table.get(name) else None


def _check_router(where: str, router: str, options: Mapping[str, object], choice: str) -> None:
    if router == EQUAL and choice == "given":
        known: list[str] = []
    elif router not in ROUTERS:
        raise UnknownName(f"{where}: {unknown('router', router, [EQUAL, *ROUTERS])}")
    else:
        known = list(router_options(router))
    for name in options:
        if name not in known:
            raise UnknownName(f"{where}: {unknown(f'option of router {router!r}', name, known)}")


def _arms(where: str, table: Mapping[str, Any]) -> tuple[Arm, ...]:
    budgets = table.get("budgets", ["own"])
    for budget in budgets:
        number = isinstance(budget, int | float) and not isinstance(budget, bool)
        if budget not in ("own", "full") and not (number and budget > 0):
            raise BadOption(f"{where}: a budget is {budget!r}; give own, full or a number over 0")
    arms: list[Arm] = []
    for each in table["methods"]:
        arm = _arm(where, each)
        # What no budget changes is made once: no LoRA, one LoRA as trained.
        fixed = arm.method in (*CONTROLS, "naive")
        for budget in ["own"] if fixed else budgets:
            name = arm.name if budget == "own" else f"{arm.name}+{_said(budget)}"
            arms.append(Arm(name, arm.method, arm.options, budget))
    names = [arm.name for arm in arms]
    for name in names:
        if names.count(name) > 1:
            raise BadOption(f"{where}: two methods are called {name!r}; give one a label")
    if not arms:
        raise BadOption(f"{where}: methods is empty; name at least one")
    return tuple(arms)


def _arm(where: str, each: object) -> Arm:
    if isinstance(each, str):
        each = {"name": each}
    if not isinstance(each, dict) or not isinstance(each.get("name"), str):
        raise BadOption(f'{where}: a method is {each!r}; write a name or {{ name = "switch" }}')
    method = each["name"]
    options = {key: value for key, value in each.items() if key not in ("name", "label")}
    if method not in CONTROLS and method not in METHODS:
        raise UnknownName(f"{where}: {unknown('method', method, [*METHODS, *CONTROLS])}")
    known = list(options_of(method)) if method not in CONTROLS else []
    for name in options:
        if name not in known:
            raise UnknownName(f"{where}: {unknown(f'option of method {method!r}', name, known)}")
    label = str(each.get("label", ",".join([method, *(f"{k}={v}" for k, v in options.items())])))
    if not _LABEL.fullmatch(label):
        raise BadOption(f"{where}: label {label!r} is no file name; use letters, digits, . , = + -")
    return Arm(label, method, options)


def _metric(where: str, each: object) -> Measured:
    if isinstance(each, str):
        each = {"name": each}
    if not isinstance(each, dict) or not isinstance(each.get("name"), str):
        raise BadOption(f'{where}: a metric is {each!r}; write a name or {{ name = "clip" }}')
    if each["name"] not in METRICS:
        raise UnknownName(f"{where}: {unknown('metric', each['name'], list(METRICS))}")
    options = {key: value for key, value in each.items() if key != "name"}
    return Measured(each["name"], options)


def _said(budget: float | str) -> str:
    return budget if isinstance(budget, str) else f"{budget:g}"


def arms_as_data(arms: tuple[Arm, ...]) -> list[dict[str, object]]:
    """The arms as plain values."""
    return [asdict(arm) for arm in arms]
