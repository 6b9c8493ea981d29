"""``python -m benchmarks.reproduction.oracles``: LoRAs trained on whole sets, the fully retrained reference.

The first sets of each size in the order in which the testbed draws them, so that nobody chooses them. One takes as
many steps as the LoRAs of its set have together: minutes on a processor. What is there is not trained again.
"""

from __future__ import annotations

import argparse

import torch

from benchmarks.reproduction.__main__ import OUT
from lorafusion import pocket
from lorafusion.evaluation.testbeds import open_testbed
from recipes.pocket import oracle
from recipes.pocket.settings import Settings


def main() -> None:
    """Read the options and do what they say."""
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.reproduction.oracles", description="Train oracles."
    )
    options.add_argument("--sizes", type=int, nargs="+", default=[2, 3], help="LoRAs in a set")
    options.add_argument("--each", type=int, default=3, help="sets of each size")
    given = options.parse_args()
    torch.set_num_threads(1)
    bed = open_testbed("pocket-480")
    sets = bed.of_sizes(given.sizes).drawn(dict.fromkeys(given.sizes, given.each)).combinations
    base = pocket.loras().parent / "base"
    for one in sets:
        if not (OUT / "oracles" / f"{one.name}.safetensors").is_file():
            names = [element.name for element in one.elements]
            oracle.train(Settings(threads=1), base, names, OUT)


if __name__ == "__main__":
    main()
