"""From a file to a LoRA that is ready: read, checked, stacked beside its layers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed.clock import spread, timed
from benchmarks.speed.models import Bench, pipeline, twin
from benchmarks.speed.peers import drop_file, load_file
from lorafusion import formats
from lorafusion.executors import EXECUTORS
from lorafusion.pipelines.match import check

TURNS = 5
"""How often the first and the last file are loaded."""


def ready(pipe: Any, path: Path) -> None:
    """Read the file completely, check that all of it fits, and put its stacks beside the layers."""
    lora = formats.read(path)
    check(pipe, lora)
    with EXECUTORS["inject"](pipe.unet, [lora.part("unet")]):
        pass


def loads(one: Bench, files: Sequence[Path], again: int) -> dict[str, Any]:
    """The k-th file by `load_lora_weights`, which keeps the former ones, and by us, in turn.

    The first and the last are loaded several times, with peft's deleted in between.

    Args:
        one: the base.
        files: one after the other.
        again: how many more we read, over and over the same files, to see whether it stays as it was.
    """
    peer, ours = pipeline(twin(one)), pipeline(one)
    both = _Both(peer, ours)
    both.turn(files[0])  # imports and names that are remembered
    firsts = [both.turn(files[0]) for _ in range(TURNS)]
    for index, path in enumerate(files[:-1]):
        load_file(peer, path, f"lora_{index}")
    lasts = [both.turn(files[-1]) for _ in range(TURNS)]
    more = [
        timed(partial(ready, ours, path))[0]
        for path in itertools.islice(itertools.cycle(files), again)
    ]
    found: dict[str, Any] = {"files": len(files), "read by us": 2 * TURNS + again}
    for name, turns in (("first", firsts), ("last", lasts)):
        mine, theirs = (list(times) for times in zip(*turns, strict=True))
        ratios = [their / own for own, their in turns]
        found[f"{name}: ours"], found[f"{name}: theirs"] = spread(mine), spread(theirs)
        found[f"{name}: times faster"] = spread(ratios)
    mine = [own for own, _ in (*firsts, *lasts)] + more
    return found | {
        "ours, first ten": spread(mine[:10]),
        "ours, last ten": spread(mine[-10:]),
    }


@dataclass
class _Both:
    """A file by us and by the peer, which is then as it was before."""

    peer: Any
    ours: Any

    def turn(self, path: Path) -> tuple[float, float]:
        """Seconds of ours and of theirs."""
        mine = timed(partial(ready, self.ours, path))[0]
        theirs = timed(partial(load_file, self.peer, path, "turn"))[0]
        drop_file(self.peer, "turn")
        return mine, theirs
