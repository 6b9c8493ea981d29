"""``python -m benchmarks.reproduction.oracles``: LoRAs trained on whole sets, the fully retrained reference.

The first sets of each size in the order in which the testbed draws them, so that nobody chooses them, of classes that
the base knows. One takes as many steps as the LoRAs of its set have together: minutes on a processor. What is there
is not trained again.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch

from benchmarks.reproduction.__main__ import OUT
from lorafusion import pocket
from lorafusion.evaluation.testbeds import open_testbed
from lorafusion.evaluation.testbeds.pocket import has_novel
from recipes.pocket import oracle
from recipes.pocket.settings import Settings


def main() -> None:
    """Read the options and do what they say."""
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.reproduction.oracles", description="Train oracles."
    )
    options.add_argument(
        "--sizes", type=int, nargs="+", default=[2, 3, 4, 5], help="LoRAs in a set"
    )
    options.add_argument("--each", type=int, default=3, help="sets of each size")
    given = options.parse_args()
    torch.set_num_threads(1)
    bed = open_testbed("pocket-480")
    known = tuple(one for one in bed.combinations if not has_novel(one))
    bed = replace(bed, combinations=known)
    sets = bed.of_sizes(given.sizes).drawn(dict.fromkeys(given.sizes, given.each)).combinations
    base = pocket.loras().parent / "base"
    for one in sets:
        if not (OUT / "oracles" / f"{one.name}.safetensors").is_file():
            names = [element.name for element in one.elements]
            oracle.train(Settings(threads=1), base, names, OUT)


if __name__ == "__main__":
    main()
