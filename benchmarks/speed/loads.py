"""From a file to a LoRA that is ready: read, checked, stacked beside its layers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed.clock import spread, timed
from benchmarks.speed.models import Bench, pipeline, twin
from benchmarks.speed.peers import load_file
from lorafusion import formats
from lorafusion.executors import EXECUTORS
from lorafusion.pipelines.match import check


def ready(pipe: Any, path: Path) -> None:
    """Read the file completely, check that all of it fits, and put its stacks beside the layers."""
    lora = formats.read(path)
    check(pipe, lora)
    with EXECUTORS["inject"](pipe.unet, [lora.part("unet")]):
        pass


def loads(one: Bench, files: Sequence[Path], again: int) -> dict[str, Any]:
    """The k-th file by `load_lora_weights`, which keeps the former ones, and by us, in turn.

    Args:
        one: the base.
        files: one after the other; peft takes each of them once.
        again: how many more we read, over and over the same files, to see whether it stays as it was.
    """
    peer, ours = pipeline(twin(one)), pipeline(one)
    theirs, mine = [], []
    ready(ours, files[0])  # imports and names that are remembered
    load_file(peer, files[0], "warm")
    peer.delete_adapters("warm")
    for index, path in enumerate(files):
        mine.append(timed(partial(ready, ours, path))[0])
        theirs.append(timed(partial(load_file, peer, path, f"lora_{index}"))[0])
    more = [
        timed(partial(ready, ours, path))[0]
        for path in itertools.islice(itertools.cycle(files), again)
    ]
    return {
        "ours": [round(value, 4) for value in mine],
        "load_lora_weights": [round(value, 4) for value in theirs],
        "first: times faster": round(theirs[0] / mine[0], 1),
        "last: times faster": round(theirs[-1] / mine[-1], 1),
        "ours, first ten": spread(mine[:10]),
        "ours, last ten": spread((mine + more)[-10:]),
        "files": len(files),
        "read by us": len(mine + more),
    }
