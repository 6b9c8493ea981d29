"""``python -m benchmarks.speed``: us and peers in turn, every case in a process of its own.

python -m benchmarks.speed                        all cases, with the default and the tuned allocator
python -m benchmarks.speed --only layers          one experiment; the other results stay as they are
python -m benchmarks.speed --missing              what was not measured with this very code yet
python -m benchmarks.speed --dry                  everything on a tiny model; shown, written nowhere
python -m benchmarks.speed --only step --model sdxl --device cuda --dtype float16 --latent 128
python -m benchmarks.speed --gpu                  the cases of a GPU: SD 1.5 and SDXL in half precision
python -m benchmarks.speed --gpu --dry            these on a tiny model, on the CPU
python -m benchmarks.speed --pages                the plot and the page alone
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.files import write_whole
from benchmarks.provenance import ROOT, provenance
from benchmarks.speed.experiments import (
    CASES,
    EXPERIMENTS,
    GPU_CASES,
    TUNED,
    Case,
    allocator,
    run,
    small,
)
from benchmarks.speed.page import page
from benchmarks.speed.picture import picture

RESULTS = ROOT / "benchmarks" / "results" / "speed.json"
PICTURE = RESULTS.with_suffix(".svg")
PAGE = ROOT / "docs" / "speed.md"
COMMAND = "python -m benchmarks.speed"
PACKAGES = ("torch", "diffusers", "peft", "transformers", "safetensors")
CODE = ("src", "benchmarks/speed")
ASKED = (
    "model",
    "device",
    "dtype",
    "rank",
    "loras",
    "opened",
    "latent",
    "batch",
    "rounds",
    "targets",
    "popularity",
)
_LOG = logging.getLogger("benchmarks.speed")


def main() -> None:
    """Read the options and do what they say."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    given = _parser().parse_args()
    if given.case:
        _measure_here(Case(**json.loads(given.case)), Path(given.into))
        return
    if not given.pages:
        for case in _cases(given):
            for name in given.malloc.split(","):
                if given.missing and _measured(case, name):
                    continue
                row = _apart(case, name)
                _LOG.info("%s", json.dumps(row))
                if not given.dry:
                    _keep(row)
    if not given.dry:
        write_pages()


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog=COMMAND, description="Speed beside peers.")
    options.add_argument("--only", choices=sorted(EXPERIMENTS), help="one experiment")
    options.add_argument("--dry", action="store_true", help="a tiny model; nothing is written")
    options.add_argument("--missing", action="store_true", help="leave out what this code has done")
    options.add_argument("--gpu", action="store_true", help="the cases of a GPU")
    options.add_argument("--pages", action="store_true", help="plot and page from the results")
    options.add_argument("--malloc", default="default,tuned", help="default, tuned, or both")
    options.add_argument("--case", help=argparse.SUPPRESS)
    options.add_argument("--into", help=argparse.SUPPRESS)
    for name in ASKED:
        kind = type(getattr(Case("", 1), name))
        options.add_argument(f"--{name}", type=kind, help="instead of the case's own")
    return options


def _cases(given: argparse.Namespace) -> list[Case]:
    """Those that are as asked for; where none is, the first of the experiment made so."""
    asked = {name: getattr(given, name) for name in ASKED if getattr(given, name) is not None}
    known = GPU_CASES if given.gpu else CASES
    cases = [case for case in known if given.only in (None, case.experiment)]
    if given.dry:
        cases = list(dict.fromkeys(small(case) for case in cases))
    sizes = {name: value for name, value in asked.items() if name != "rounds"}
    alike = [c for c in cases if all(getattr(c, name) == value for name, value in sizes.items())]
    firsts = {case.experiment: case for case in reversed(cases)}
    found = [replace(case, **asked) for case in alike or list(firsts.values())[::-1]]
    return list(dict.fromkeys(found))


def _apart(case: Case, malloc: str) -> dict[str, Any]:
    """The case in a process of its own, which returns its memory and has the allocator asked for."""
    environment = dict(os.environ) | (TUNED if malloc == "tuned" else {})
    with tempfile.TemporaryDirectory(prefix="lorafusion-") as folder:
        into = Path(folder) / "row.json"
        words = ["-m", "benchmarks.speed", "--case", json.dumps(asdict(case)), "--into", str(into)]
        subprocess.run([sys.executable, *words], env=environment, cwd=ROOT, check=True)  # noqa: S603 - our own words
        row: dict[str, Any] = json.loads(into.read_text(encoding="utf-8"))
        return row


def _measure_here(case: Case, into: Path) -> None:
    made = provenance(COMMAND, [], packages=PACKAGES, folders=CODE)
    if case.device == "cuda":
        made["machine"]["accelerator"] = torch.cuda.get_device_name()
    row = {"case": asdict(case), "malloc": allocator(), "found": run(case), "provenance": made}
    write_whole(into, json.dumps(row))


def _keep(row: dict[str, Any]) -> None:
    """Put the row in place of the one with the same case and allocator; the others stay."""
    rows = known_rows() if RESULTS.exists() else []
    others = [old for old in rows if _key(old) != _key(row)]
    write_whole(RESULTS, json.dumps({"rows": sorted([*others, row], key=_key)}, indent=1) + "\n")


def _measured(case: Case, malloc: str) -> bool:
    """Whether there is a result of this case by the code that is here now."""
    wanted = _key({"case": asdict(case), "malloc": malloc})
    found = [row["provenance"] for row in known_rows() if _key(row) == wanted]
    words = ["git", "diff", "--quiet"]
    return any(
        not made["changed files"]
        and not subprocess.run([*words, made["revision"], "--", *CODE], cwd=ROOT).returncode  # noqa: S603 - our own words
        for made in found
    )


def _key(row: dict[str, Any]) -> tuple[str, ...]:
    case = {name: value for name, value in row["case"].items() if name != "rounds"}
    return (*(f"{value:>6}" for value in case.values()), row["malloc"])


def write_pages() -> None:
    """The plot and the page, from the results."""
    rows = known_rows()
    write_whole(PICTURE, picture(rows))
    write_whole(PAGE, page(rows))


def known_rows() -> list[dict[str, Any]]:
    """The results; cases that were run before there was one more axis have its usual value."""
    rows: list[dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]
    return [row | {"case": asdict(Case(**row["case"]))} for row in rows]


if __name__ == "__main__":
    main()
