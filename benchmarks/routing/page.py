"""The page ``docs/routing-benchmark.md``, made from the results alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.routing.measure import POOL
from benchmarks.routing.runs import OURS

NOTE = "<!-- written by `python -m benchmarks.routing --pages` from benchmarks/results/routing.json; do not edit -->"
WHAT = {
    POOL: "Twelve LoRAs: natural sentences, prompts that want nothing, negation and word senses together",
    "table3": "Twelve LoRAs: natural sentences that want 0 to 4 of them",
    "table3-literal": "The same sentences, with the words of the paper's Table 3 alone as key texts",
    "nothing": "Twelve LoRAs: prompts that want none of them",
    "senses": "Twelve LoRAs: negation, counting, and words in another sense",
    "meanings": "Twelve LoRAs: word senses again, in sentences that were written last",
    "dozen": "Twelve LoRAs of other subjects: sentences, and words in another sense",
    "composlora-sentences": "ComposLoRA: its 22 LoRAs, natural sentences",
    "composlora-triggers": "ComposLoRA: base prompt and trigger words",
    "thousand": "A library of 1,000 LoRAs: sentences that want 1 to 5 of them",
}
CALIBRATED = (POOL, "composlora-sentences", "thousand")
COLUMNS = (
    "f1",
    "precision",
    "recall",
    "exact",
    "false picks",
    "separable",
    "margin",
    "calibration error",
)
INTRO = """# Routing against known answers

{note}

Prompts with known answers are routed against catalogues of described LoRAs; no image is made. All numbers are of the
**held-out** split as it stood at the revision named at the end: its sentences are in another wording, in other frames
and words, than those on which options were chosen. How the sets were made and what counts as wanted:
[benchmarks/routing](../benchmarks/routing/README.md).

- **F1** over all names of all prompts; **exact**: share of prompts whose chosen LoRAs are just the wanted ones;
  **false picks**: of the prompts that want nothing, the share that got something.
- **separable**: share of prompts where each wanted LoRA scores above every other; **margin**: the least weight of a
  wanted LoRA less the greatest of another, on average (a LoRA left out has weight 0).
- **calibration error**: how far a weight is from the share of right choices at that weight. Beside a low F1 it says
  little: a router that gives each of n LoRAs about 1/n is right about as often as that.

"Without ..." is our router `phrases` with one of its parts taken out (`benchmarks/routing/parts.py`). Rows "as
published" choose every LoRA, since their papers start from LoRAs that were chosen by hand; thresholds and k are those
with the best F1 on tuning prompts of the same catalogue.

![F1 and exact sets by router; right choices by weight](../benchmarks/results/routing.svg)
"""


def page(results: dict[str, Any], scale: dict[str, Any]) -> str:
    """The page as it should lie in ``docs/``.

    Args:
        results: of ``python -m benchmarks.routing``.
        scale: of ``python -m benchmarks.routing.scale``.
    """
    rows = results["rows"]
    parts = [INTRO.format(note=NOTE)]
    for encoder in dict.fromkeys(row["encoder"] for row in rows):
        mine = [row for row in rows if row["encoder"] == encoder]
        parts.append(f"## Encoder: {encoder}\n")
        for name, what in WHAT.items():
            found = [row for row in mine if row["set"] == name]
            if found:
                parts.append(f"### {what}\n\n`{name}`, {found[0]['prompts']} prompts.\n")
                parts.append(_table(found))
    for encoder, why in results["encoders that were not there"].items():
        parts.append(f"Encoder {encoder} was not measured: {why}.\n")
    parts.append(_times(results["times"]))
    parts.append(_options(rows))
    parts.append(_reliability(rows))
    parts.append(_scale(scale))
    parts.append(_made(results["provenance"]))
    return "\n".join(parts)


def _table(rows: Sequence[dict[str, Any]]) -> str:
    shown = [name for name in COLUMNS if any(row[name] is not None for row in rows)]
    lines = [f"| router | {' | '.join(shown)} |", "|---" * (len(shown) + 1) + "|"]
    best = {name: _best(name, rows) for name in shown}
    for row in rows:
        cells = [
            _cell(row[name], best=row[name] is not None and row[name] == best[name])
            for name in shown
        ]
        lines.append(f"| {row['router']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _best(name: str, rows: Sequence[dict[str, Any]]) -> float | None:
    values = [row[name] for row in rows if row[name] is not None]
    low = name in {"false picks", "calibration error"}
    return (min if low else max)(values, default=None)


def _cell(value: float | None, *, best: bool = False) -> str:
    if value is None:
        return ""
    return f"**{value:.3f}**" if best else f"{value:.3f}"


def _times(timed: dict[str, Any]) -> str:
    machine = timed["provenance"]["machine"]
    found = timed["minilm"]
    lines = [
        "## Time\n\nMicroseconds of processor time a prompt on one core, minilm included, each prompt a new one after "
        "five others:\nthe median, and the least in brackets. `phrases` remembers the phrases of earlier prompts; the "
        "last row has\nit forget them before each prompt. "
        f"The load was {machine['load at the start']} on\n{machine['cores']} cores at the start and "
        f"{timed['provenance']['load at the end']} at the end; on a busy machine caches are shared and times are "
        "longer.\n",
        f"| router | {' | '.join(found)} |",
        "|---" * (len(found) + 1) + "|",
    ]
    for router in next(iter(found.values())):
        each = [by_router[router] for by_router in found.values()]
        cells = [f"{one['median']:,} ({one['least']:,})" for one in each]
        lines.append(f"| {router} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _options(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        "## Options that were chosen on tune\n",
        "| encoder | catalogue | router | option | F1 on tune |",
        "|---|---|---|---|---|",
    ]
    seen = set()
    for row in rows:
        key = (row["encoder"], row["catalogue"], row["router"])
        if row["chosen on tune"] and key not in seen:
            seen.add(key)
            option = ", ".join(
                f"{each} = {row['options'][each]:.6g}" for each in row["chosen on tune"]
            )
            lines.append(f"| {' | '.join(key)} | {option} | {_cell(row['tune f1'])} |")
    return "\n".join(lines) + "\n"


def _reliability(rows: Sequence[dict[str, Any]]) -> str:
    lines = ["## How often a weight is right\n"]
    for row in rows:
        if row["name"] == OURS and not row["part"] and row["set"] in CALIBRATED:
            lines += [
                f"`{row['router']}`, {row['encoder']}, `{row['set']}`:\n",
                "| weight | LoRAs chosen | mean weight | right |",
                "|---|---|---|---|",
                *(
                    f"| {b['from']:.1f} to {b['to']:.1f} | {b['count']} | {b['mean weight']:.3f} | {b['right']:.3f} |"
                    for b in row["reliability"]
                ),
                "",
            ]
    return "\n".join(lines) if len(lines) > 1 else ""


def _scale(scale: dict[str, Any]) -> str:
    lines = [
        "## Exact search among many keys\n",
        "One query against all keys of a memory-mapped file, 384 dimensions, the ten best, on one core; beside it, one "
        "pass that\nsums up the same bytes. Medians of processor time of "
        f"{scale['provenance']['settings']['times']} runs; the answer to the first query "
        "of\neach size was checked against a full sort in float64.\n",
        "| keys | search, ms | one pass, ms | ratio |",
        "|---|---|---|---|",
    ]
    for row in scale["rows"]:
        search, once = row["search seconds"]["median"] * 1e3, row["pass seconds"]["median"] * 1e3
        lines.append(
            f"| {row['keys']:,} | {search:.2f} | {once:.2f} | {row['ratio of medians']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def _made(made: dict[str, Any]) -> str:
    machine, versions = made["machine"], made["versions"]
    names = ", ".join(f"{name} {version}" for name, version in versions.items())
    changed = " with changes not committed" if made["changed files"] else ""
    load = f"load {machine['load at the start']} on {machine['cores']} cores"
    return (
        f"## How this was made\n\n`{made['command']}` in {made['seconds']} s at revision "
        f"`{made['revision'][:12]}`{changed},\non {machine['processor']} "
        f"({machine['threads used']} thread, {load});\n{names}.\n"
    )
