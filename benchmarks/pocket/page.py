"""The page ``docs/pocket-testbed.md``, made from the results alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.pocket.contenders import EQUAL, PERIOD

NOTE = "<!-- written by `python -m benchmarks.pocket` from benchmarks/results/pocket-*.json; do not edit -->"
CATEGORIES = ("character", "clothing", "object", "background", "style")
INTRO = f"""# Pocket as a testbed

{NOTE}

What the [bundled model](pocket.md) draws of what it is asked for, alone, with each of its LoRAs, and with sets of them
composed by each method; scored by small networks whose accuracy is measured first. How the sets and prompts are made:
[benchmarks/pocket](../benchmarks/pocket/README.md). Brackets hold 95% intervals by bootstrap over pictures or sets.

A LoRA is an *instance* where the base knows its class in other looks (DreamBooth's case), and *novel* where the base
knows nothing of the class. "Class found" is the detector's word; "identity right" needs the
identity scorer's as well.
"""

Results = Mapping[str, dict[str, Any]]


def page(results: Results) -> str:
    """The page as it should lie in ``docs/``.

    Args:
        results: name -> what is in ``benchmarks/results/pocket-<name>.json``, for "scorers" and
            those of "base", "loras" and "table" that were measured.
    """
    parts = [INTRO, _scorers(results["scorers"])]
    for name, section in (("base", _base), ("loras", _loras), ("table", _table)):
        if name in results:
            parts.append(section(results[name]))
    parts.append(_made(results))
    return "\n".join(parts)


def share(value: Mapping[str, Any], interval: bool = True) -> str:
    """A mean with its interval; nothing where there is no value."""
    if value["mean"] is None:
        return ""
    mean = f"{value['mean']:.3f}"
    return f"{mean} ({value['low']:.2f}-{value['high']:.2f})" if interval else mean


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; columns without any value are left out."""
    kept = [place for place in range(len(head)) if place == 0 or any(row[place] for row in rows)]
    lines = [[head[place] for place in kept], ["---"] * len(kept)]
    lines += [[row[place] for place in kept] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _scorers(found: dict[str, Any]) -> str:
    head = ("scorer", "pictures", *CATEGORIES, "all")
    rows = []
    for source in ("renders", "through the autoencoder"):
        one = found[source]
        tables = (
            ("detector: accuracy", one["detector"]["accuracy"]),
            ("detector: found, of those shown", one["detector"]["found, of those shown"]),
            ("identity: accuracy", one["identity"]["accuracy"]),
            ("identity: right, of individuals", one["identity"]["right, of individuals"]),
            ("identity: refused, of siblings", one["identity"]["refused, of siblings"]),
            ("identity: refused, of near siblings", one["identity"]["refused, of near siblings"]),
            ("CLIP: prefers the right caption", one["clip"]["right preferred"]),
        )
        rows += [
            (label, source, *(_plain(table.get(name)) for name in (*CATEGORIES, "all")))
            for label, table in tables
        ]
    broken = [
        (kind, _plain(one["nothing found"]), _plain(one["naturalness below 1%"]))
        for kind, one in found["broken"].items()
    ]
    true = _plain(found["through the autoencoder"]["nature"]["at least 1%"])
    count, size = found["renders"]["pictures"], sum(found["bytes"].values()) / 1e6
    return (
        "## The scorers\n\n"
        f"Measured on {count:,} scenes that nothing was learned from or chosen on, all categories, novel classes and\n"
        f"individuals among them. {size:.1f} MB in float16. Near siblings differ from an individual in marking,\n"
        "colours or paint alone. CLIP compares a caption with the same caption with one class exchanged.\n\n"
        f"{grid(head, rows)}\n"
        "Broken pictures: in how many nothing is found (no character, clothing or object), and how many are below\n"
        f"the 1% of naturalness that {true} of true pictures reach:\n\n"
        f"{grid(('kind', 'nothing found', 'naturalness below 1%'), broken)}"
    )


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _base(found: dict[str, Any]) -> str:
    head = ("pictures", "elements found", "all of a picture", *CATEGORIES, "naturalness", "CLIP")
    rows = [
        (
            row["source"], share(row["found"]), share(row["all found"], interval=False),
            *(share(row["by category"][name], interval=False) for name in CATEGORIES),
            share(row["naturalness"], interval=False), share(row["clip"], interval=False),
        )
        for row in found["rows"]
    ]  # fmt: skip
    worst = ", ".join(
        f"{word} {hits} of {count}"
        for word, (hits, count) in found["rows"][0]["least found"].items()
    )
    return (
        f"## The base\n\n{found['rows'][0]['pictures']} prompts with three to five elements that it knows, one picture "
        f"each; true pictures of the same scenes below it.\n\n{grid(head, rows)}\nLeast found by the base: {worst}.\n"
    )


def _loras(found: dict[str, Any]) -> str:
    head = ("LoRA", "subject found", "identity right", "others kept", "naturalness",
            "without it: class found", "without it: identity")  # fmt: skip
    arms = {(row["lora"], row["novel"], row["arm"]): row for row in found["rows"]}
    order = list(dict.fromkeys((row["novel"], row["lora"]) for row in found["rows"]))
    rows = []
    for novel, name in sorted(order, key=lambda one: (one[0], one[1] == "all")):
        own, bare = arms[name, novel, "with"], arms[name, novel, "without"]
        whole = name == "all"
        label = f"**all {'novel' if novel else 'instance'}**" if whole else f"`{name}`"
        rows.append((
            label, share(own["subject found"], whole), share(own["identity right"], whole),
            share(own["others kept"], whole), share(own["naturalness"], interval=False),
            share(bare["subject found"], whole), share(bare["identity right"], whole),
        ))  # fmt: skip
    count = found["provenance"]["settings"]["pictures of each"]
    return (
        f"## Each LoRA alone\n\n{count} prompts each: the class word in the company of one to three elements that the "
        "base knows, at strength 1;\nthe same prompts and seeds without the LoRA. Instances first, then novel ones.\n\n"
        f"{grid(head, rows)}"
    )


def _table(found: dict[str, Any]) -> str:
    head = ("method", "class found", "identity right", "novel found", "all classes", "all right",
            "naturalness", "CLIP")  # fmt: skip
    settings = found["provenance"]["settings"]
    parts = [
        "## Methods on sets of LoRAs\n\n"
        "Sets of a character and at most one LoRA of each other category; the LoRAs are given, so that composing\n"
        "is measured and not routing. Without a mark a method has the strength of its paper (merge 1 for each LoRA,\n"
        f"NLA and fusion 1 in sum, switch one LoRA at a time, {PERIOD} steps a turn, composite one LoRA a branch);\n"
        f'with "strength {EQUAL:g}" all LoRAs together act with {EQUAL:g}, averaged over steps and branches. NLA at\n'
        f"that strength is merge at that strength, and fusion nearly so. "
        f"{settings['pictures of each set']} picture a set.\n"
    ]
    for size in dict.fromkeys(row["size"] for row in found["rows"]):
        for kind in ("instance", "novel"):
            mine = [row for row in found["rows"] if (row["size"], row["kind"]) == (size, kind)]
            if mine:
                what = "instances alone" if kind == "instance" else "at least one novel"
                parts.append(f"### {size} LoRAs, {what}: {mine[0]['sets']} sets\n")
                parts.append(grid(head, [_row(row) for row in mine]))
    if found["rows with an oracle"]:
        parts.append(_oracle(found, head))
    return "\n".join(parts)


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row["method"], share(row["class found"], interval=False), share(row["identity right"]),
        share(row["novel found"]), share(row["all classes"], interval=False),
        share(row["all right"]), share(row["naturalness"], interval=False),
        share(row["clip"], interval=False),
    )  # fmt: skip


def _oracle(found: dict[str, Any], head: Sequence[str]) -> str:
    count = found["provenance"]["settings"]["pictures of a set with an oracle"]
    names = ", ".join(f"`{name}`" for name in found["sets with an oracle"])
    parts = [
        "### Beside the oracle\n\nThe oracle is one LoRA trained on the whole set, with the steps, scenes and ranks\n"
        f"of its LoRAs together. {count} pictures for each method on each of the sets\n{names}.\n"
        "Intervals are over so few sets that they say little.\n"
    ]  # fmt: skip
    for size in dict.fromkeys(row["size"] for row in found["rows with an oracle"]):
        mine = [row for row in found["rows with an oracle"] if row["size"] == size]
        parts.append(f"{size} LoRAs, {mine[0]['sets']} sets:\n")
        parts.append(grid(head, [_row(row) for row in mine]))
    return "\n".join(parts)


def _made(results: Results) -> str:
    lines = ["## How this was made\n"]
    for name, found in results.items():
        made = found["provenance"]
        machine, versions = made["machine"], made["versions"]
        listed = ", ".join(f"{package} {version}" for package, version in versions.items())
        changed = " with changes not committed" if made["changed files"] else ""
        lines.append(
            f"- {name}: `{made['command']}` at revision `{made['revision'][:12]}`{changed}, on "
            f"{machine['processor']}; {listed}."
        )
    return "\n".join(lines) + "\n"
