"""Requests that each want another LoRA, or the same one: how long until it is ready, by how popular LoRAs are."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed.clock import spread, timed
from benchmarks.speed.loads import ready
from benchmarks.speed.models import Bench, pipeline, twin
from benchmarks.speed.peers import drop_file, load_file
from lorafusion import formats
from lorafusion.formats.kept import Kept

POPULARITIES = ("identical", "distinct", "uniform", "zipf")
"""One LoRA for all requests; each its own; any with equal chance; the k-th most popular with chance 1 / k."""
_YEARS = 10**8
KEPT_SHARE = 0.4
"""Share of the files that is kept, by us as by the peer."""


def order(popularity: str, files: int, requests: int) -> list[int]:
    """Which file each request wants."""
    draw = torch.Generator().manual_seed(files * 1000 + requests)
    if popularity == "identical":
        return [0] * requests
    if popularity == "distinct":
        return [turn % files for turn in range(requests)]
    ranks = torch.arange(1, files + 1, dtype=torch.float64)
    chances = 1 / ranks if popularity == "zipf" else torch.ones_like(ranks)
    return torch.multinomial(chances, requests, replacement=True, generator=draw).tolist()


class _Peer:
    """diffusers with as many adapters loaded as are kept; the least recently used is deleted."""

    def __init__(self, one: Bench, most: int) -> None:
        self._pipe = pipeline(twin(one))
        self._loaded: OrderedDict[Path, str] = OrderedDict()
        self._most = most

    def want(self, path: Path) -> None:
        """Make this LoRA the active one."""
        if path not in self._loaded:
            if len(self._loaded) >= self._most:
                drop_file(self._pipe, self._loaded.popitem(last=False)[1])
            self._loaded[path] = path.stem
            load_file(self._pipe, path, path.stem)
        self._loaded.move_to_end(path)
        self._pipe.set_adapters([path.stem], [1.0])


def traffic(one: Bench, files: Sequence[Path], popularity: str, requests: int) -> dict[str, Any]:
    """Every request by us and by the peer, which keep the same number of LoRAs.

    Args:
        one: the base.
        files: of the library.
        popularity: a name of `POPULARITIES`.
        requests: that count.
    """
    for path in files:  # files that were written just now are not kept
        os.utime(path, (path.stat().st_mtime - _YEARS,) * 2)
    most = max(1, round(KEPT_SHARE * len(files)))
    seen: list[Path] = []

    def read(path: Path) -> Any:
        seen.append(path)
        return formats.read(path)

    kept = Kept(read, budget=most * max(path.stat().st_size for path in files))
    ours, peer = pipeline(one), _Peer(one, most)
    ready(ours, files[0])
    mine, theirs = [], []
    for place in order(popularity, len(files), requests):
        path = files[place]
        mine.append(timed(partial(ready, ours, path, lambda p: kept.get(p, p.stem)))[0])
        theirs.append(timed(partial(peer.want, path))[0])
    return {
        "seconds": {"peft": spread(theirs), "ours": spread(mine)},
        "all requests: times faster": round(sum(theirs) / sum(mine), 1),
        "kept": most,
        "share found kept": round(1 - len(seen) / requests, 3),
    }
