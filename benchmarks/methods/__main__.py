"""``python -m benchmarks.methods``: pictures of every method, or a comparison by numbers.

python -m benchmarks.methods                      charts, strips and the contact sheet of docs/methods, and its pages
python -m benchmarks.methods --only auto          those of one method
python -m benchmarks.methods kept                 what svdiff's projection keeps of each bundled LoRA
python -m benchmarks.methods gates                MoLE's gates with and without the balancing loss, and masked
python -m benchmarks.methods compare --work DIR   every method on sets of two, three and five LoRAs, by pocket's scorers
python -m benchmarks.methods compare --tried ...  what was tried for auto, on the other half of the sets
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import runpy
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.files import write_whole
from benchmarks.methods import entries, gates, pages, tried
from benchmarks.methods.compare import Comparison
from benchmarks.methods.draw import Studio
from benchmarks.methods.kept import kept
from benchmarks.methods.report import PAGE, page
from benchmarks.pocket import studio as pocket
from benchmarks.provenance import ROOT, provenance
from lorafusion.methods import METHODS
from lorafusion.pocket import GUIDANCE, loras

RESULTS = ROOT / "benchmarks" / "results"
KEPT = RESULTS / "svdiff-kept.json"


def main(words: list[str] | None = None) -> None:
    """Do what the words ask for."""
    asked = _parser().parse_args(words)
    if asked.what == "pictures":
        pages.write(Studio(), [asked.only] if asked.only else list(METHODS), asked.work)
        runpy.run_path(str(ROOT / "docs" / "make_reference.py"), run_name="__main__")
    elif asked.what == "kept":
        _write(KEPT, {"kept energy": kept(Studio())}, "kept")
    elif asked.what == "gates":
        torch.set_num_threads(1)
        found = gates.measure(Studio(), pages.SHOWN, asked.work, pages.GATE_STEPS)
        _write(RESULTS / "gates.json", found, "gates", steps=pages.GATE_STEPS)
    else:
        _compare(asked)


def _compare(asked: argparse.Namespace) -> None:
    """Draw what is missing, and write what there is."""
    made = (tried if asked.tried else entries).entries()
    wanted = [one for one in made if not asked.only or one.label in asked.only.split(",")]
    half = "tune" if asked.tried else "report"
    studio = pocket.Studio()
    folder = asked.work / f"methods-{half}"
    run = Comparison(
        studio, wanted, half, asked.sets, asked.sizes, asked.pictures, asked.guidance, folder
    )
    os.nice(asked.nice)
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["LORAFUSION_CACHE"] = cache  # nobody's stored keys take part
        if not asked.score_only and not run.draw():
            return
        rows = run.rows()
    other = "" if asked.guidance == GUIDANCE else f"-guidance-{asked.guidance:g}"
    name = ("methods-tried" if asked.tried else "methods-compared") + other
    settings = {"half": half, "sets": asked.sets, "sizes": asked.sizes, "pictures of each set": asked.pictures,
                "steps": studio.steps, "guidance": asked.guidance}  # fmt: skip
    tried_or_not = " --tried" if asked.tried else ""
    words = f"compare{tried_or_not} --work FOLDER --sets {asked.sets} --guidance {asked.guidance:g}"
    path = asked.out or RESULTS / f"{name}.json"
    _write(path, {"rows": rows}, words, files=studio.data(), **settings)
    write_whole(PAGE, page())


def _write(
    path: Path, content: dict[str, Any], words: str, files: Sequence[Path] = (), **settings: Any
) -> None:
    command = f"python -m benchmarks.methods {words}"
    files = files or sorted(loras().glob("*.safetensors"))
    made = {"provenance": provenance(command, files, **settings), **content}
    write_whole(path, json.dumps(made, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.methods", description=__doc__)
    parser.add_argument(
        "what", nargs="?", default="pictures", choices=("pictures", "kept", "gates", "compare")
    )
    parser.add_argument(
        "--only", default="", help="these methods or rows alone, separated by commas"
    )
    parser.add_argument("--work", type=Path, default=ROOT / "out", help="of pictures and gates")
    compared = parser.add_argument_group("compare")
    compared.add_argument("--tried", action="store_true", help="what was tried for auto instead")
    compared.add_argument("--sizes", type=int, nargs="+", default=[2, 3, 5], help="LoRAs in a set")
    compared.add_argument("--sets", type=int, default=100, help="of each size")
    compared.add_argument("--pictures", type=int, default=2, help="of each set by each row")
    compared.add_argument(
        "--score-only", action="store_true", help="of the pictures that are there"
    )
    compared.add_argument("--out", type=Path, help="JSON file of the results")
    compared.add_argument("--guidance", type=float, default=GUIDANCE, help="scale")
    compared.add_argument("--nice", type=int, default=0, help="give way to others by so much")
    return parser


if __name__ == "__main__":
    main()
