"""The page ``docs/speed.md``, made from the results alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.speed.goals import GOALS, Goal, Row

NOTE = "<!-- written by `python -m benchmarks.speed --pages` from benchmarks/results/speed.json; do not edit -->"


INTRO = """# Speed beside peers

{note}

diffusers with peft and lorafusion in turn, in one process, on the same weights and LoRAs: a full-size UNet of Stable
Diffusion 1.5 from its configuration with random weights (times do not depend on them), float32, one thread, and LoRAs
of rank 32 that change what kohya's trainer changes. Times are the process's own; ratios are taken round by round, and
the median is given with the least and the most. What is seen close to its goal may fall to the other side of it in
another run. How: [benchmarks/speed](../benchmarks/speed/README.md).

peft makes large temporaries, which cost page faults under glibc's default allocator; "tuned" has the thresholds
`MALLOC_MMAP_THRESHOLD_` and `MALLOC_TRIM_THRESHOLD_` raised, so that they cost none.

`inject` and `fold` find keys and values of the prompt once for as long as prompt and gates stay, and `inject` keeps up
to 256 MB of written weights meanwhile: so is every step of an image but the first. "All new" has other weights in
every step. `fold` leaves these layers to a side path ([decision 19](decisions/0019-what-maps-once-is-not-written.md)):
"the prompt, folded" is what they take once after a change, "the prompt, fused" what peft's take in every step.

Both map large layers on a processor in quicker ways than torch's own, to the same numbers
([decision 18](decisions/0018-large-layers-in-quicker-ways.md)), and may so take less time than the bare base. "Base,
quick" is the bare base in these ways; what LoRAs cost is told above either.

![Time beside the bare base's, ours and peft's](../benchmarks/results/speed.svg)

## Goals

| what | allocator | goal | seen | least to most | kept |
|---|---|---|---|---|---|
"""


def page(rows: Sequence[Row]) -> str:
    """The page as it should lie in ``docs/``."""
    lines = [INTRO.format(note=NOTE).rstrip()]
    for goal in GOALS:
        lines += [_goal(goal, row) for row in filter(goal.takes, rows)]
    lines += ["", "## Seconds", "", "| case | allocator | variant | median | least | most |"]
    lines.append("|---|---|---|---|---|---|")
    for row in rows:
        for name, seen in row["found"].get("seconds", {}).items():
            times = " | ".join(_number(seen[each]) for each in ("median", "least", "most"))
            lines.append(f"| {label(row['case'])} | {row['malloc']} | {name} | {times} |")
    lines += [
        "",
        *_loads(rows),
        *_traffic(rows),
        *_prompt(rows),
        *_drift(rows),
        *_agreement(rows),
        *_made(rows),
    ]
    return "\n".join(lines) + "\n"


def label(case: dict[str, Any]) -> str:
    """A case in a few words."""
    words = [case["experiment"], f"{case['loras']} LoRAs"]
    if case["experiment"] in ("step", "layers", "composite", "mixed", "switch", "prompt"):
        words.append(f"latent {case['latent']}")
    if case["popularity"]:
        words.append(case["popularity"])
    if case["opened"]:
        words.append(f"{case['opened']} open")
    usual = {"model": "sd15", "rank": 32, "targets": "kohya", "device": "cpu", "dtype": "float32"}
    words += [str(case[name]) for name, value in usual.items() if case[name] != value]
    return ", ".join(words)


def _goal(goal: Goal, row: Row) -> str:
    seen = goal.value(row)
    opened = f", {row['case']['opened']} of them changed" if row["case"]["opened"] else ""
    cells = [
        goal.title + opened,
        row["malloc"],
        f"{'<=' if goal.most else '>='} {goal.bound:g}",
        _number(seen["median"]),
        f"{_number(seen['least'])} to {_number(seen['most'])}",
        "yes" if goal.held(row) else "**no**",
    ]
    return f"| {' | '.join(cells)} |"


def _loads(rows: Sequence[Row]) -> list[str]:
    lines = []
    for row in rows:
        if row["case"]["experiment"] == "loads":
            found = row["found"]
            first, last = found["ours, first ten"]["median"], found["ours, last ten"]["median"]
            theirs = [found[f"{name}: theirs"]["median"] for name in ("first", "last")]
            lines.append(
                f"{row['malloc']} allocator: ours {first:g} s for each of the first ten files, {last:g} s for the last "
                f"ten of {found['read by us']}; peft's {theirs[0]:g} s for the first, "
                f"{theirs[1]:g} s for the {found['files']}th.\n"
            )
            if "first: hotswap" in found:
                seen, faster = found["first: hotswap"], found["first: times faster than hotswap"]
                lines.append(
                    f"`load_lora_weights` with hotswap, in the place of a pipeline's only LoRA: {seen['median']:g} s, "
                    f"{_number(faster['median'])} times ours.\n"
                )
    return ["## Loading\n", *lines] if lines else []


def _traffic(rows: Sequence[Row]) -> list[str]:
    lines = [
        f"| {row['case']['popularity']} | {row['malloc']} | {row['found']['share found kept']:.0%} "
        f"| {row['found']['seconds']['ours']['median']:.3g} | {row['found']['seconds']['peft']['median']:.3g} "
        f"| {row['found']['all requests: times faster']:g} |"
        for row in rows
        if row["case"]["experiment"] == "traffic"
    ]
    head = """## Traffic

Requests that want one LoRA each, from file or memory to ready, by how popular LoRAs are; both keep as many.

| popularity | allocator | found kept | ours, median s | peft, median s | all requests: times faster |
|---|---|---|---|---|---|"""
    return [head, *lines, ""] if lines else []


def _prompt(rows: Sequence[Row]) -> list[str]:
    lines = [
        f"{label(row['case'])}, {row['malloc']}: {row['found']['share of a step']['median']:.1%} of a step, "
        f"{row['found']['share of a step when remembered']['median']:.2%} when remembered.\n"
        for row in rows
        if row["case"]["experiment"] == "prompt"
    ]
    return ["## Keys and values of the prompt\n", *lines] if lines else []


def _drift(rows: Sequence[Row]) -> list[str]:
    lines = []
    for row in rows:
        if row["case"]["experiment"] == "drift" and row["malloc"] == "default":
            shares = row["found"]["share of weights changed"]
            told = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
            lines.append(
                f"After {row['found']['cycles']} changes and the way back, share of weights that differ: {told}.\n"
            )
    return ["## Drift\n", *lines] if lines else []


def _agreement(rows: Sequence[Row]) -> list[str]:
    lines = []
    for row in rows:
        for name in (
            "difference from peft",
            "difference from the loop",
            "difference from one by one",
        ):
            if name in row["found"]:
                seen = row["found"][name]
                told = (
                    ", ".join(f"{k} {v:g}" for k, v in seen.items())
                    if isinstance(seen, dict)
                    else f"{seen:g}"
                )
                lines.append(f"| {label(row['case'])} | {row['malloc']} | {name} | {told} |")
    head = ["## The same numbers\n", "Largest difference over the largest value of the output.\n"]
    return [*head, "| case | allocator | | |", "|---|---|---|---|", *lines, ""] if lines else []


def _made(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    made = rows[0]["provenance"]
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    loads = [row["provenance"]["machine"]["load at the start"] for row in rows]
    revisions = sorted({row["provenance"]["revision"][:12] for row in rows})
    changed = any(row["provenance"]["changed files"] for row in rows)
    where = ", ".join(f"`{each}`" for each in revisions)
    where += " with changes not committed" if changed else ""
    return [
        "## How this was made\n",
        f"`{made['command']}` at {where}, on {made['machine']['processor']},\n"
        f"one thread of {made['machine']['cores']} cores that others used too "
        f"(load {min(loads):g} to {max(loads):g});\n{versions}.",
    ]


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
