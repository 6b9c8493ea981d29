"""Bench: what a run makes, as its TOML file says.

testbed = "pocket-480"                    # a name, or a manifest's path
methods = ["naive", "alone", "merge", "nla", "fusion", { name = "switch", period = 5 }, "composite"]
seeds = 2                                 # images of each set and method
budgets = ["own"]                         # or numbers, or "full"
router = "cosine"                         # who weighs the set's LoRAs; "equal" for nobody
out = "runs/pocket"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorafusion.errors import BadOption, UnknownName
from lorafusion.evaluation.fields import Kinds, checked, toml
from lorafusion.evaluation.metrics import METRICS
from lorafusion.evaluation.runner.arms import EQUAL, Arm, arms_of, check_router
from lorafusion.evaluation.testbeds import Testbed, open_testbed
from lorafusion.registry import unknown

_FIELDS: Kinds = {
    "testbed": str, "methods": list, "seeds": int, "budgets": list, "sets": (int, list), "sizes": list,
    "without": list,
    "router": str, "router_options": dict, "encoder": str, "choice": str, "strength": float, "steps": int,
    "metrics": list, "base": str, "loras": str, "oracles": str, "out": str, "report": str, "batch": int,
    "executor": str, "dtype": str, "device": str,
}  # fmt: skip
GLOBAL = ("router", "router_options", "encoder", "choice", "steps", "base", "dtype", "batch")
"""Fields that all files share whose images are in one folder."""


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
        out: folder of the run. Files that agree on everything that decides an image may share one.
        report: folder of this file's tables.
        batch: images of one set that are made together; 1 for each by itself.
        executor: a name of `EXECUTORS`, or "auto".
        dtype: "auto", "float32", "float16" or "bfloat16".
        device: "auto", "cpu" or "cuda".
        text: what decides an image and is the same for all arms, to compare runs by.
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
    report: Path
    batch: int
    executor: str
    dtype: str
    device: str
    text: Mapping[str, object]

    @property
    def routed(self) -> bool:
        """Whether any arm asks a router, which then needs an encoder."""
        return any(arm.changes.get("router", self.router) != EQUAL for arm in self.arms)


def read_bench(path: Path) -> Bench:
    """Read the file of a run; relative paths start at its folder.

    Raises:
        UnreadableFile: the file is missing or is not TOML.
        BadOption, UnknownName: a field that is missing, unknown, of another type or out of range.
    """
    folder = path.parent
    table = checked(str(path), toml(path), _FIELDS, ("testbed", "methods"))
    try:
        whole = open_testbed(table["testbed"], folder)
    except UnknownName as error:
        raise UnknownName(f"{path}: {error}") from None
    bed = _restricted(whole, table)
    _check(path, table)
    arms = arms_of(str(path), table)
    metrics = tuple(_metric(str(path), each) for each in table.get("metrics", ["spread"]))
    out = _folder(folder, table, "out") or path.with_suffix("")
    text = {key: table[key] for key in GLOBAL if key in table}
    return Bench(
        bed=bed,
        arms=arms,
        metrics=metrics,
        seeds=table.get("seeds", 1),
        router=table.get("router", "cosine"),
        router_options=table.get("router_options", {}),
        encoder=table.get("encoder", "minilm"),
        choice=table.get("choice", "given"),
        strength=float(table.get("strength", bed.strength)),
        loras=_folder(folder, table, "loras"),
        oracles=_folder(folder, table, "oracles"),
        base=table.get("base", ""),
        out=out,
        report=_folder(folder, table, "report") or out / "report",
        batch=table.get("batch", 1),
        executor=table.get("executor", "auto"),
        dtype=table.get("dtype", "auto"),
        device=table.get("device", "auto"),
        text=text | {"testbed": whole.name, "sets": whole.fingerprint},
    )


def _check(path: Path, table: Mapping[str, Any]) -> None:
    for name in ("seeds", "batch"):
        if table.get(name, 1) < 1:
            raise BadOption(f"{path}: {name} is {table[name]}; it must be at least 1 image")
    choice = table.get("choice", "given")
    if choice not in ("given", "routed"):
        raise UnknownName(f"{path}: {unknown('choice', choice, ['given', 'routed'])}")
    if table.get("encoder") == "pipeline":
        raise BadOption(
            f"{path}: encoder is 'pipeline', but a run may have several base models; give minilm or a "
            "sentence-transformers model"
        )
    check_router(str(path), table.get("router", "cosine"), table.get("router_options", {}), choice)


def _restricted(bed: Testbed, table: Mapping[str, Any]) -> Testbed:
    if "without" in table:
        bed = bed.without(table["without"])
    if "sizes" in table:
        bed = bed.of_sizes(table["sizes"])
    sets = table.get("sets")
    if isinstance(sets, list):
        if len(sets) != len(table.get("sizes", [])):
            raise BadOption(f"sets is {sets}; give one number for each of sizes, or one for all")
        bed = bed.drawn(dict(zip(table["sizes"], sets, strict=True)))
    elif sets is not None:
        bed = bed.drawn(bed.share(sets))
    if "steps" in table:
        if table["steps"] < 1:
            raise BadOption(f"steps is {table['steps']}; it must be at least 1")
        bed = bed.in_steps(table["steps"])
    return bed


def _folder(folder: Path, table: Mapping[str, Any], name: str) -> Path | None:
    return folder / Path(table[name]).expanduser() if table.get(name) else None


def _metric(where: str, each: object) -> Measured:
    if isinstance(each, str):
        each = {"name": each}
    if not isinstance(each, dict) or not isinstance(each.get("name"), str):
        raise BadOption(f'{where}: a metric is {each!r}; write a name or {{ name = "clip" }}')
    if each["name"] not in METRICS:
        raise UnknownName(f"{where}: {unknown('metric', each['name'], list(METRICS))}")
    options = {key: value for key, value in each.items() if key != "name"}
    return Measured(each["name"], options)
