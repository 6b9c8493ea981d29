"""The page ``docs/reproduction.md``, made from questions and results alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.reproduction.verdict import verdict
from lorafusion.evaluation.report.tables import interval, number

_RANKS = ("pearson", "spearman", "kendall")
NOTE = "<!-- written by `python -m benchmarks.reproduction --pages` from benchmarks/results/; do not edit -->"
_HERE = Path(__file__).parent


def page(experiments: Sequence[Mapping[str, Any]], results: Mapping[str, Mapping[str, Any]]) -> str:
    """The page as it should lie in ``docs/``.

    Args:
        experiments: of ``questions.toml``.
        results: name -> what ``benchmarks/results/reproduction-<name>.json`` holds, where it exists.
    """
    parts = [_text("intro").replace("NOTE", NOTE)]
    for one in experiments:
        parts += [f"## {one['title']}", one["asks"], _paper(one)]
        found = results.get(one["name"])
        parts += _ours(one, found) if found else [_missing(one["name"])]
    return "\n\n".join([*(part for part in parts if part), _text("real")]) + "\n"


def _text(name: str) -> str:
    """What is the same whatever comes out."""
    return (_HERE / f"{name}.md").read_text(encoding="utf-8").strip()


def _paper(one: Mapping[str, Any]) -> str:
    said = ", ".join(f"{name} {value}" for name, value in one["paper"])
    figures = f"{said} ({one['source']})" if said else one["source"]
    return f"The paper: {figures}."


def _missing(name: str) -> str:
    return f"Not measured yet: `python -m benchmarks.reproduction --only {name}`."


def _ours(one: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    if "people" in found:
        return [_people(found["people"], one), one.get("word", "").strip()]
    report = found["report"]
    parts = [_made(found), _picture(one), _arms(report["arms"], one["measures"])]
    parts += [_by_size(report["sizes"], measure) for measure in one.get("by_size", ())]
    parts += [_claims(report["claims"]), one.get("word", "").strip()]
    return [part for part in parts if part]


def _picture(one: Mapping[str, Any]) -> str:
    """The plot that is asked for; it lies beside the results."""
    if "plot" not in one:
        return ""
    path = f"../benchmarks/results/reproduction-{one['name']}.svg"
    return f"![{one['plot']} by method, and by number of LoRAs]({path})"


def _made(found: Mapping[str, Any]) -> str:
    run, made = found["report"]["run"], found["provenance"]
    done = found["report"].get("finished", run["sets"])
    sets = ", ".join(f"{count} of {size}" for size, count in done.items())
    left = sum(run["sets"].values()) - sum(done.values())
    sets += f" ({left} sets are still to be made)" if left else ""
    steps = " or ".join(str(count) for count in _steps(run))
    seeds = "1 seed" if run["seeds"] == 1 else f"{run['seeds']} seeds"
    return (
        f"Ours: testbed `{run['testbed']}`, sets by number of LoRAs: {sets}; {seeds} a set, {steps} steps, "
        f"router `{run['router']}`; revision {made['revision'][:12]}, {made['machine']['processor']}."
    )


def _steps(run: Mapping[str, Any]) -> list[int]:
    """The numbers of steps that pictures were made in: an arm's own, or the run's."""
    usual = list(run["steps"].values())
    own = [[arm["changes"]["steps"]] if "steps" in arm["changes"] else usual for arm in run["arms"]]
    return list(dict.fromkeys(count for counts in own for count in counts))


def _arms(arms: Sequence[Mapping[str, Any]], measures: Sequence[str]) -> str:
    rows = [
        [f"`{row['arm']}`", str(row["sets"]), *(_cell(row, measure) for measure in measures)]
        for row in arms
        if row["sets"]
    ]
    return _grid(["method", "sets", *measures], rows)


def _by_size(sizes: Mapping[str, Sequence[Mapping[str, Any]]], measure: str) -> str:
    if not sizes:
        return ""
    names = [row["arm"] for row in next(iter(sizes.values()))]
    by = {size: {row["arm"]: row for row in rows} for size, rows in sizes.items()}
    rows = [
        [f"`{name}`", *(_cell(by[size][name], measure) for size in sizes)]
        for name in names
        if any(by[size][name]["sets"] for size in sizes)
    ]
    head = [f"{measure}, LoRAs:", *sizes]
    return _grid(head, rows)


def _cell(row: Mapping[str, Any], measure: str) -> str:
    found = row["measures"].get(measure)
    return interval(found) if found else "-"


def _claims(claims: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            claim["says"] if size == min(claim["duels"]) else "",
            claim["measure"] + (f", {size} LoRAs" if size else ""),
            interval(duel["difference"]),
            " / ".join(f"{duel[key]['value']:.0%}" for key in ("wins", "ties", "losses")),
            number(duel["corrected"]),
            verdict(duel),
        ]
        for claim in claims
        for size, duel in claim["duels"].items()
        if not size or claim.get("by_size")
    ]
    head = ["claim", "measure", "difference", "wins / ties / losses", "p (Holm)", ""]
    return _grid(head, rows) if rows else ""


def _people(people: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    printed = {(row[0], row[1]): row[2:] for row in one["correlations"]}
    rows = [
        [
            found["metric"],
            found["axis"],
            " / ".join(map(_short, printed.get((found["metric"], found["axis"]), ()))) or "-",
            " / ".join(_short(found["pooled"][name]) for name in _RANKS),
            _estimate(found, "within_set", "pearson"),
            f"{found['pairwise']['agreement']:.1%} of {found['pairwise']['pairs']}",
        ]
        for found in people["results"]
    ]
    head = ["metric", "axis", "the paper, pooled", "ours, pooled", "within sets", "pairs alike"]
    told = (
        f"{people['images']} rated images of {people['sets']} sets; Pearson / Spearman / Kendall."
    )
    return f"{told}\n\n{_grid(head, rows)}"


def _estimate(found: Mapping[str, Any], kind: str, name: str) -> str:
    low, high = found["intervals"][kind][name]
    return interval({"value": found[kind][name], "low": low, "high": high})


def _short(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1)


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
