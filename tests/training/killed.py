"""A training that ends by `kill -9` in the middle of a step: ``python -m tests.training.killed IMAGES WORK``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from lorafusion import training
from tests import tiny
from tests.training.test_lora import RECIPE, prior


def main(images: Path, work: Path) -> None:
    def stop(done: int, most: int, loss: float) -> None:
        if done == RECIPE.save_every + 1:
            os.kill(os.getpid(), signal.SIGKILL)

    pipe = tiny.pipeline("sd")
    shown = training.read_examples(images)
    training.train(
        "lora", pipe, shown, RECIPE, training.About("x"), work, prior=prior(pipe), on_step=stop
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
