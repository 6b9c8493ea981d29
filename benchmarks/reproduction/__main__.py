"""``python -m benchmarks.reproduction``: the experiments of this folder, their results, and the page."""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.files import write_whole
from benchmarks.provenance import ROOT, provenance
from benchmarks.reproduction.measure import measured
from benchmarks.reproduction.page import page
from lorafusion.cli import main as lorafusion
from lorafusion.evaluation.people.correlate import correlate, document
from lorafusion.evaluation.people.ratings import read_ratings
from lorafusion.evaluation.report.plot import plot
from lorafusion.evaluation.runner.config import read_bench

HERE = Path(__file__).parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "reproduction.md"
OUT = ROOT / "out" / "reproduction"
COMMAND = "python -m benchmarks.reproduction"
PEOPLE = "people"
"""The experiment that has ratings in place of pictures."""


def main() -> None:
    """Read the options and do what they say."""
    options = argparse.ArgumentParser(prog=COMMAND, description="The papers' tables on pocket.")
    options.add_argument("--only", help="one experiment of this folder")
    options.add_argument("--ratings", type=Path, help="CSV of people's ratings, for 'people'")
    options.add_argument("--pages", action="store_true", help="write the page from the results")
    given = options.parse_args()
    asked = {one["name"]: one for one in experiments()}
    for name in () if given.pages else [given.only] if given.only else asked:
        if name != PEOPLE:
            _make(asked[name])
        elif given.ratings is not None:
            _people(given.ratings)
    write_whole(PAGE, page(experiments(), results()))


def experiments() -> list[dict[str, Any]]:
    """What ``questions.toml`` asks, in its order."""
    text = (HERE / "questions.toml").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = tomllib.loads(text)["experiment"]
    return found


def results() -> dict[str, Any]:
    """Name -> result, of those experiments that have one."""
    paths = {one["name"]: _result(one["name"]) for one in experiments()}
    return {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name, path in paths.items()
        if path.is_file()
    }


def _make(one: Mapping[str, Any]) -> None:
    """Make the images, measure them, and keep the summary with where it comes from.

    Tables, plots and contact sheets of all measures: ``lorafusion bench report out/reproduction/<name>.toml``.
    """
    name = one["name"]
    source = HERE / f"{name}.toml"
    copy = OUT / source.name
    write_whole(copy, source.read_text(encoding="utf-8"))
    if code := lorafusion(["bench", "run", str(copy)]):
        raise SystemExit(code)
    bench = read_bench(copy)
    report = measured(bench, one.get("claim", ()))
    oracles = sorted(bench.oracles.glob("*.safetensors")) if bench.oracles else []
    made = provenance(f"{COMMAND} --only {name}", [source, *oracles], file=source.name)
    _keep(name, {"provenance": made, "report": report})
    if "plot" in one:
        write_whole(_result(name).with_suffix(".svg"), plot(report, one["plot"]))


def _people(ratings: Path) -> None:
    """What metrics have to do with people, from their ratings."""
    read = read_ratings(ratings)
    found = document(read, correlate(read, []))
    made = provenance(f"{COMMAND} --only {PEOPLE} --ratings {ratings.name}", [ratings])
    _keep(PEOPLE, {"provenance": made, "people": found})


def _keep(name: str, content: Mapping[str, Any]) -> None:
    write_whole(_result(name), json.dumps(content, indent=1) + "\n")


def _result(name: str) -> Path:
    return RESULTS / f"reproduction-{name}.json"


if __name__ == "__main__":
    main()
