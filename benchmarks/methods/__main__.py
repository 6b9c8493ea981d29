"""``python -m benchmarks.methods``: pictures of every method, or a comparison by numbers.

python -m benchmarks.methods                      charts, strips and the contact sheet of docs/methods, and its pages
python -m benchmarks.methods --only auto          those of one method
python -m benchmarks.methods kept                 what svdiff's projection keeps of each bundled LoRA
python -m benchmarks.methods compare --measure benchmarks.methods.measure:palette --out FILE
"""

from __future__ import annotations

import argparse
import json
import runpy
import sys
from pathlib import Path
from typing import Any

from benchmarks.files import write_whole
from benchmarks.methods import pages
from benchmarks.methods.compare import VARIANTS, Entry, compare
from benchmarks.methods.draw import STEPS, Studio
from benchmarks.methods.kept import kept
from benchmarks.methods.measure import measure_of
from benchmarks.provenance import ROOT, provenance
from lorafusion.methods import METHODS
from lorafusion.pocket import loras

KEPT = ROOT / "benchmarks" / "results" / "svdiff-kept.json"


def main(words: list[str] | None = None) -> None:
    """Do what the words ask for."""
    asked = _parser().parse_args(words)
    studio = Studio()
    if asked.what == "pictures":
        pages.write(studio, [asked.only] if asked.only else list(METHODS))
        runpy.run_path(str(ROOT / "docs" / "make_reference.py"), run_name="__main__")
    elif asked.what == "kept":
        _write(KEPT, {"kept energy": kept(studio)}, "kept")
    else:
        _compare(studio, asked)


def _compare(studio: Studio, asked: argparse.Namespace) -> None:
    settings: dict[str, Any] = {
        "counts": asked.counts,
        "how_many": asked.cases,
        "seeds": list(range(asked.seeds)),
        "seed": asked.seed,
        "steps": asked.steps,
    }
    rows = compare(
        studio, _entries(asked.only, asked.strength), measure_of(asked.measure), **settings
    )
    text = f"compare --measure {asked.measure} --cases {asked.cases} --seeds {asked.seeds}"
    content = {"measure": asked.measure, "rows": rows}
    if asked.out is None:
        sys.stdout.write(json.dumps(content, indent=1) + "\n")
    else:
        _write(asked.out, content, text, **settings)


def _entries(only: str, strength: float) -> list[Entry]:
    plain = [Entry(name, name, {}) for name in METHODS if name != "auto"]
    wanted = [*plain, *VARIANTS]
    return [
        Entry(each.label, each.method, {**each.options, "strength": strength})
        for each in wanted
        if not only or each.method in only.split(",")
    ]


def _write(path: Path, content: dict[str, Any], words: str, **settings: Any) -> None:
    command = f"python -m benchmarks.methods {words}"
    files = sorted(loras().glob("*.safetensors"))
    made = {"provenance": provenance(command, files, **settings), **content}
    write_whole(path, json.dumps(made, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.methods", description=__doc__)
    parser.add_argument(
        "what", nargs="?", default="pictures", choices=("pictures", "kept", "compare")
    )
    parser.add_argument("--only", default="", help="of these methods alone, separated by commas")
    parser.add_argument("--measure", default="benchmarks.methods.measure:palette")
    parser.add_argument("--counts", type=int, nargs="+", default=[2, 3, 5], help="of LoRAs")
    parser.add_argument("--cases", type=int, default=8, help="of each count")
    parser.add_argument("--seeds", type=int, default=2, help="pictures of each case")
    parser.add_argument("--seed", type=int, default=0, help="that draws the cases")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--strength", type=float, default=1.0, help="the same for all methods")
    parser.add_argument("--out", type=Path, help="a file; the terminal when left out")
    return parser


if __name__ == "__main__":
    main()
