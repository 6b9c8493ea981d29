"""``python -m benchmarks.routing``: every router on every set; writes the results, their plot and their page.

python -m benchmarks.routing                  all of it
python -m benchmarks.routing --pages          the plot and the page alone, from the results that are there
python -m benchmarks.routing --times          the times alone, anew, with the plot and the page
python -m benchmarks.routing --only phrases   one router, shown in the log and written nowhere
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from typing import Any

import torch

from benchmarks.files import write_whole
from benchmarks.provenance import ROOT, provenance
from benchmarks.routing.catalogue import DATA
from benchmarks.routing.measure import measured
from benchmarks.routing.page import page
from benchmarks.routing.picture import picture
from benchmarks.routing.runs import OURS, runs
from benchmarks.routing.scale import RESULTS as SCALE
from benchmarks.routing.timing import times
from lorafusion.routing import Encoder, PipelineEncoder, encoder_of
from lorafusion.routing.calibration import store
from lorafusion.routing.measure import measure

RESULTS = ROOT / "benchmarks" / "results" / "routing.json"
OURS_ALONE = RESULTS.with_name("routing-ours.json")
PICTURE = RESULTS.with_suffix(".svg")
PAGE = ROOT / "docs" / "routing-benchmark.md"
ENCODERS = ("minilm", "pocket")
COMMAND = "python -m benchmarks.routing"
_LOG = logging.getLogger("benchmarks.routing")


def main() -> None:
    """Read the options and do what they say."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    options = argparse.ArgumentParser(prog=COMMAND, description="Routing against known answers.")
    options.add_argument(
        "--pages", action="store_true", help="write plot and page from the results"
    )
    options.add_argument(
        "--times", action="store_true", help="measure the times alone; all else stays"
    )
    options.add_argument("--only", help="show one router on the tune split; write nothing")
    options.add_argument(
        "--ours", action="store_true", help="our router alone, on the held-out split"
    )
    given = options.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LORAFUSION_CACHE"] = folder  # nobody's stored keys and calibrations take part
        _act(given)


def _act(given: argparse.Namespace) -> None:
    if given.only:
        chosen = [run for run in runs() if run.label == given.only]
        for row in measured("minilm", encoder_of("minilm"), chosen, split="tune"):
            _LOG.info("%s", {name: row[name] for name in row if name != "reliability"})
        return
    if given.ours:
        write_whole(OURS_ALONE, json.dumps(ours_alone(), indent=1) + "\n")
        return
    if given.times:
        timed = json.loads(RESULTS.read_text(encoding="utf-8")) | {"times": timing()}
        write_whole(RESULTS, json.dumps(timed, indent=1) + "\n")
    elif not given.pages:
        write_whole(RESULTS, json.dumps(results(), indent=1) + "\n")
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    write_whole(PICTURE, picture(found))
    scale = json.loads(SCALE.read_text(encoding="utf-8"))
    write_whole(PAGE, page(found, scale))


def ours_alone() -> dict[str, Any]:
    """Our router on the held-out sets, without peers and parts: minutes and not a quarter of an hour."""
    start = time.monotonic()
    made = provenance(
        f"{COMMAND} --ours", [*DATA.glob("*.jsonl"), *DATA.glob("*.toml")], split="heldout"
    )
    chosen = [run for run in runs() if run.label == OURS]
    rows = measured("minilm", encoder_of("minilm"), chosen)
    made["seconds"] = round(time.monotonic() - start)
    return {"provenance": made, "rows": rows}


def timing() -> dict[str, Any]:
    """Processor time of every router, with its own provenance: the machine should be quiet meanwhile."""
    made = provenance(f"{COMMAND} --times", [], split="heldout")
    found = times(runs(), encoder_of("minilm"))
    made["load at the end"] = round(os.getloadavg()[0], 1)
    return {"provenance": made, "minilm": found}


def results() -> dict[str, Any]:
    """All rows with their provenance."""
    start = time.monotonic()
    made = provenance(COMMAND, [*DATA.glob("*.jsonl"), *DATA.glob("*.toml")], split="heldout")
    rows: list[dict[str, Any]] = []
    absent = {}
    for label in ENCODERS:
        encoder = _encoder(label)
        if isinstance(encoder, str):
            absent[label] = encoder
        else:
            wanted = None if label == "minilm" else [run for run in runs() if not run.part]
            sets = None if label == "minilm" else {"table3", "nothing"}
            if label != "minilm":
                store(encoder, measure(encoder).calibration)  # as `library calibrate` does
            rows += measured(label, encoder, wanted, only=sets)
    made["seconds"] = round(time.monotonic() - start)
    return {
        "provenance": made,
        "encoders that were not there": absent,
        "rows": rows,
        "times": timing(),
    }


def _encoder(label: str) -> Encoder | str:
    """The encoder, or why it cannot be had."""
    if label != "pocket":
        return encoder_of(label)
    from lorafusion import pocket

    try:
        return PipelineEncoder(pocket.pipeline())
    except FileNotFoundError as error:
        return str(error).replace(str(ROOT), ".")


if __name__ == "__main__":
    main()
