"""The page ``docs/methods/comparison.md``, made from the results alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.methods.entries import AUTO
from benchmarks.pocket.page import grid, share
from benchmarks.provenance import ROOT
from lorafusion.pocket import GUIDANCE

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
testbed; `mole` needs gates for each set and is below. Rows of one or two sets say next to nothing, whatever their
interval; the command goes on where it was stopped and adds sets.
"""
TRIED = """## What was tried for auto

On the other half of the sets, with other seeds. `auto` gives each LoRA what the prompt asks for and nothing else, which
is `merge` where it asks for all in full: on the LoRAs of now nothing that was tried is ahead of that, and styles
that stand back lose more than the others gain (the tables of 24 sets). Everything else was tried with other prompts and
with the pixel art and mosaic that pocket had before, which overwrote more of a picture: at guidance 4, and what did
well there at 2.5 (the table of twelve sets). There styles at 0.5 were ahead among five LoRAs, and `auto` was that for a
while. Room for others (`reach`), evened sizes, budgets, timing and purifying are options of `auto` still. LoRAs of
pocket have nearly equal sizes, so that evening them can show nothing here.
"""


def page() -> str:
    """The page of what results there are."""
    parts = [INTRO]
    for heading, name in ((OWN, "methods-compared"), (TRIED, "methods-tried")):
        found = [json.loads(path.read_text(encoding="utf-8")) for path in _files(name)]
        if found:
            parts.append(heading)
        for one in found:
            parts += [*_tables(one), _made(one)]
    for name, section in (("gates", _gates), ("svdiff-kept", _kept)):
        for path in RESULTS.glob(f"{name}.json"):
            parts.append(section(json.loads(path.read_text(encoding="utf-8"))))
    return "\n".join(parts)


def _files(name: str) -> list[Path]:
    """The results at pocket's guidance, then those at others."""
    return [*RESULTS.glob(f"{name}.json"), *sorted(RESULTS.glob(f"{name}-guidance-*.json"))]


def _tables(found: dict[str, Any]) -> list[str]:
    made, rows = [], found["rows"]
    guidance = found["provenance"]["settings"]["guidance"]
    at = "" if guidance == GUIDANCE else f", guidance {guidance:g}"
    for size in sorted({row["loras"] for row in rows}):
        mine = [row for row in rows if row["loras"] == size]
        most = max(row["sets"] for row in mine)
        made.append(f"### {size} LoRAs, up to {most} sets{at}\n\n{_table(mine)}")
    return made


def _table(rows: Sequence[dict[str, Any]]) -> str:
    kinds = sorted({kind for row in rows for kind in row["right by category"]})
    with_auto = any(row["label"] == AUTO for row in rows)
    ahead, than = ("auto is ahead by", AUTO) if with_auto else ("ahead of merge by", "merge")
    head = (
        "",
        "sets",
        "identity right",
        ahead,
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
                f"**{row['label']}**" if row["label"] == AUTO else row["label"],
                str(row["sets"]),
                share(row["identity right"]),
                ""
                if row["label"] == than
                else _signed(row["auto ahead" if with_auto else "ahead of merge"]),
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


def _gates(found: dict[str, Any]) -> str:
    """MoLE: what the balancing loss does, and what masked gates draw."""
    steps = found["provenance"]["settings"]["steps"]
    lines = ["## MoLE's gates", ""]
    for alpha, made in found["trained"].items():
        lines.append(
            f"- balancing loss {'x ' + alpha if float(alpha) else 'left out'}: the largest share is that of "
            f"`{made['largest']}`, {made['share of the largest']:.3f}, where equal shares are "
            f"{1 / len(made['shares']):.3f}"
        )
    methods = list(dict.fromkeys(row["method"] for row in found["masked"]))
    sets = list(dict.fromkeys(" + ".join(row["loras"]) for row in found["masked"]))
    share_of = {
        (" + ".join(row["loras"]), row["method"]): row["identity right"] for row in found["masked"]
    }
    rows = [[each, *(f"{share_of[each, method]:.2f}" for method in methods)] for each in sets]
    return (
        "\n".join(lines)
        + f"\n\nGates trained once for five LoRAs, in {steps} steps, masked to fewer; identities right, by the "
        "identity scorer alone, in a few pictures of one set each, which tells that masking works and not which "
        "method is better:\n\n"
        + grid(("LoRAs", *methods), rows)
        + "\nBy `python -m benchmarks.methods gates`; everything is in "
        "[gates.json](../../benchmarks/results/gates.json).\n"
    )


def _kept(found: dict[str, Any]) -> str:
    """SVDiff: how little of a LoRA a shift of singular values can say."""
    kept = found["kept energy"]
    low, high = min(kept, key=lambda name: kept[name]), max(kept, key=lambda name: kept[name])
    return (
        f"## What svdiff keeps\n\nOf the {len(kept)} bundled LoRAs the projection onto the base's spectrum keeps "
        f"{kept[low]:.2%} (`{low}`) to {kept[high]:.2%} (`{high}`) of the energy, so that `svdiff` with LoRAs that "
        "were trained freely draws what the base draws. Shifts that were trained as such are in "
        "[Training](../training.md). By `python -m benchmarks.methods kept`: "
        "[svdiff-kept.json](../../benchmarks/results/svdiff-kept.json).\n"
    )
