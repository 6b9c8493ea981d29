"""What the commands of the testbed have in common: options, a folder of cells, results with their provenance."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.files import write_whole
from benchmarks.pocket.cells import Drawn, fill, load
from benchmarks.pocket.studio import WEIGHTS, Score, Studio
from benchmarks.provenance import ROOT, provenance
from lorafusion.pocket import GUIDANCE

Scores = dict[str, list[Score]]
"""Label -> scores of its pictures."""

RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True)
class Command:
    """One experiment.

    Attributes:
        name: of its module and its results.
        about: one line for its help.
        keys: the cells, from the options.
        make: the pictures of one cell, from studio, options and key.
        score: their scores, by label, from studio, key and pictures.
        rows: the results, from options and all cells.
        settings: what is written into the provenance, from the options.
    """

    name: str
    about: str
    keys: Callable[[argparse.Namespace], Sequence[str]]
    make: Callable[[Studio, argparse.Namespace, str], Drawn]
    score: Callable[[Studio, str, Drawn], Scores]
    rows: Callable[[dict[str, Scores]], dict[str, Any]]
    settings: Callable[[argparse.Namespace], dict[str, Any]]

    @property
    def results(self) -> Path:
        """Where its results go."""
        return RESULTS / f"pocket-{self.name}.json"

    def parser(self) -> argparse.ArgumentParser:
        """The options that all experiments have."""
        made = argparse.ArgumentParser(
            prog=f"python -m benchmarks.pocket.{self.name}", description=self.about,
            epilog="Start it several times to share the work; it goes on where it was stopped.",
        )  # fmt: skip
        made.add_argument("--work", type=Path, required=True, help="folder of pictures")
        made.add_argument("--base", type=Path, default=WEIGHTS / "base", help="the base model")
        made.add_argument("--loras", type=Path, default=WEIGHTS / "loras", help="folder of LoRAs")
        made.add_argument("--out", type=Path, default=self.results, help="JSON file of the results")
        made.add_argument("--nice", type=int, default=0, help="give way to others by so much")
        return made

    def run(self, given: argparse.Namespace) -> bool:
        """Do the work; the process that ends it writes the results. Whether this one did."""
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
        torch.set_num_threads(1)
        os.nice(given.nice)
        start = time.monotonic()
        studio = Studio(given.base, given.loras)
        folder = given.work / f"{self.name}-{studio.fingerprint}"
        with tempfile.TemporaryDirectory() as cache:
            os.environ["LORAFUSION_CACHE"] = cache  # nobody's stored keys take part
            keys = self.keys(given)
            if not fill(folder, keys, lambda key: self.make(studio, given, key)):
                return False
        # Pictures are kept and scored last, so that better scorers need no new pictures.
        cells = {key: self.score(studio, key, load(folder, key)) for key in keys}
        made = provenance(
            f"python -m benchmarks.pocket.{self.name}", studio.data(), steps=studio.steps,
            guidance=GUIDANCE, scheduler=type(studio.pipe.scheduler).__name__, **self.settings(given),
        )  # fmt: skip
        made["seconds of the last process"] = round(time.monotonic() - start)
        found = {"provenance": made} | self.rows(cells)
        write_whole(given.out, json.dumps(found, indent=1) + "\n")
        return True
