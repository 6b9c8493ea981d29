"""The page ``docs/methods/comparison.md``, made from the results alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.pocket.page import grid, share
from benchmarks.provenance import ROOT

PAGE = ROOT / "docs" / "methods" / "comparison.md"
RESULTS = ROOT / "benchmarks" / "results"
INTRO = """# Methods, compared

<!-- written by `python -m benchmarks.methods compare` from benchmarks/results/methods-*.json; do not edit -->

Every method on sets of the [bundled model's LoRAs](../pocket-testbed.md), the same sets, prompts and seeds for
all, scored by pocket's scorers: "class found" is the detector's word, "identity right" needs the identity scorer's
as well, naturalness is the share of true pictures that are farther out. Brackets hold 95% intervals by bootstrap
over sets; "auto is ahead by" compares identities set by set, on the sets that both have. The sets are the half of
the testbed's instance sets, by hash, on which nothing was tried or chosen.
"""
OWN = """Each method has the strength that it has by itself: 1 for each LoRA, or what its paper says (NLA and fusion
1 in sum, switch one LoRA at a time, 2 of 20 steps a turn, composite one LoRA a prediction). "At auto's strength"
scales a method so that its LoRAs act with what those of `auto` do on the same set, summed and averaged over steps
and predictions: the equal budget. At an equal strength NLA and fusion are merge. `single` is a control of the
testbed; `mole` needs gates for each set and is in [Training](../training.md).
"""
TRIED = """## What was tried for auto

On the other half of the sets, with other seeds. `auto` is what came of it: styles stand back among many others, and
all else was dropped. Evened sizes, budgets, timing and purifying are options of `auto` still. LoRAs of pocket
have nearly equal sizes, so that evening them can show nothing here.
"""


def page() -> str:
    """The page of what results there are."""
    parts = [INTRO]
    compared, tried = (_read(name) for name in ("methods-compared", "methods-tried"))
    if compared is not None:
        parts += [OWN, *_tables(compared["rows"]), _made(compared)]
    if tried is not None:
        parts += [TRIED, *_tables(tried["rows"]), _made(tried)]
    return "\n".join(parts)


def _read(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found if isinstance(found, dict) else None


def _tables(rows: Sequence[dict[str, Any]]) -> list[str]:
    made = []
    for size in sorted({row["loras"] for row in rows}):
        mine = [row for row in rows if row["loras"] == size]
        most = max(row["sets"] for row in mine)
        made.append(f"### {size} LoRAs, up to {most} sets\n\n{_table(mine)}")
    return made


def _table(rows: Sequence[dict[str, Any]]) -> str:
    kinds = sorted({kind for row in rows for kind in row["right by category"]})
    head = (
        "",
        "sets",
        "identity right",
        "auto is ahead by",
        *kinds,
        "class found",
        "all right",
        "naturalness",
    )
    ordered = sorted(rows, key=lambda row: -row["identity right"]["mean"])
    return grid(
        head,
        [
            [
                f"**{row['label']}**" if row["label"] == "auto" else row["label"],
                str(row["sets"]),
                share(row["identity right"]),
                "" if row["label"] == "auto" else _signed(row["auto ahead"]),
                *(f"{row['right by category'].get(kind, 0.0):.2f}" for kind in kinds),
                share(row["class found"], interval=False),
                share(row["all right"], interval=False),
                share(row["naturalness"], interval=False),
            ]
            for row in ordered
        ],
    )


def _signed(value: dict[str, Any]) -> str:
    """A difference with its interval."""
    if value["mean"] is None:
        return ""
    return f"{value['mean']:+.3f} ({value['low']:+.2f} to {value['high']:+.2f})"


def _made(found: dict[str, Any]) -> str:
    made = found["provenance"]
    each = made["settings"]["pictures of each set"]
    versions = ", ".join(f"{name} {number}" for name, number in made["versions"].items())
    guidance = made["settings"]["guidance"]
    return (
        f"By `{made['command']}`, {each} pictures of each set, guidance {guidance:g}, at "
        f"revision `{made['revision'][:12]}`, on "
        f"{made['machine']['processor']}; {versions}.\n"
    )
