"""``python -m benchmarks.reproduction``: the experiments of this folder, their results, and the page."""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

from benchmarks.files import write_whole
from benchmarks.provenance import ROOT, provenance
from benchmarks.reproduction.page import page
from lorafusion.cli import main as lorafusion

HERE = Path(__file__).parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "reproduction.md"
OUT = ROOT / "out" / "reproduction"
COMMAND = "python -m benchmarks.reproduction"


def main() -> None:
    """Read the options and do what they say."""
    options = argparse.ArgumentParser(prog=COMMAND, description="The papers' tables on pocket.")
    options.add_argument("--only", help="one experiment of this folder")
    options.add_argument("--pages", action="store_true", help="write the page from the results")
    given = options.parse_args()
    names = [given.only] if given.only else [one["name"] for one in experiments()]
    for name in () if given.pages else names:
        _make(name)
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


def _make(name: str) -> None:
    """Run, report, and keep the summary with where it comes from."""
    source = HERE / f"{name}.toml"
    copy = OUT / source.name
    write_whole(copy, source.read_text(encoding="utf-8"))
    for words in (["bench", "run", str(copy)], ["bench", "report", str(copy)]):
        if code := lorafusion(words):
            raise SystemExit(code)
    report = json.loads((OUT / name / "report" / "report.json").read_text(encoding="utf-8"))
    made = provenance(f"{COMMAND} --only {name}", [source], file=source.name)
    content = {"provenance": made, "report": report}
    write_whole(_result(name), json.dumps(content, indent=1) + "\n")


def _result(name: str) -> Path:
    return RESULTS / f"reproduction-{name}.json"


if __name__ == "__main__":
    main()
