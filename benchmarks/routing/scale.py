"""``python -m benchmarks.routing.scale``: one query against up to 1,000,000 keys, and one pass over their bytes.

To be run on one thread, which numpy is told before it is imported: ``OMP_NUM_THREADS=1``.

Writes benchmarks/results/routing-scale.json. The keys are random unit vectors in a temporary file (1.5 GB for a million
of 384 dimensions), which is removed afterwards.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from jaxtyping import Float

from benchmarks.files import write_whole
from benchmarks.provenance import ROOT, provenance
from lorafusion.library.nearest import ExactIndex

RESULTS = ROOT / "benchmarks" / "results" / "routing-scale.json"
COMMAND = "OMP_NUM_THREADS=1 python -m benchmarks.routing.scale"
SIZES = (1_000, 10_000, 100_000, 1_000_000)
WIDTH = 384
SEED = 7
TIMES = 9
K = 10
_LOG = logging.getLogger("benchmarks.routing.scale")


def main() -> None:
    """Measure all sizes and write what was seen."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    made = provenance(COMMAND, [], seed=SEED, width=WIDTH, times=TIMES, k=K)
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(size, Path(folder) / "keys.safetensors") for size in SIZES]
    write_whole(RESULTS, json.dumps({"provenance": made, "rows": rows}, indent=1) + "\n")


def measure(size: int, path: Path) -> dict[str, Any]:
    """Seconds of a search and of a pass over the same bytes, taken in turns, and their ratio."""
    start = time.perf_counter()
    index = ExactIndex.build(path, keys(size))
    built = time.perf_counter() - start
    queries = units(np.random.default_rng(SEED + 1), TIMES + 1)
    mapped = np.memmap(path, np.uint64, "r", offset=256)
    read_all(mapped)
    index.search(queries[-1:], K)
    searches, passes = [], []
    for query in np.split(queries[:TIMES], TIMES):
        searches.append(seconds(partial(index.search, query, K)))
        passes.append(seconds(partial(read_all, mapped)))
    row = {
        "keys": size,
        "bytes": mapped.nbytes,
        "build seconds": round(built, 3),
        "search seconds": _spread(searches),
        "pass seconds": _spread(passes),
        "ratio of medians": round(median(searches) / median(passes), 2),
        "ratio of least": round(min(searches) / min(passes), 2),
        "right": right(index, queries[:1], size),
    }
    _LOG.info("%s", row)
    return row


def keys(size: int) -> Iterator[Float[np.ndarray, "n d"]]:
    """Random unit vectors, the same ones every time, a block at a time."""
    draw = np.random.default_rng(SEED)
    for start in range(0, size, 10_000):
        yield units(draw, min(10_000, size - start))


def units(draw: np.random.Generator, count: int) -> Float[np.ndarray, "n d"]:
    """So many random unit vectors, float32."""
    rows = draw.standard_normal((count, WIDTH), np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def right(index: ExactIndex, query: Float[np.ndarray, "1 d"], size: int) -> bool:
    """Whether the answer is that of sorting all cosines in float64."""
    exact = query.astype(np.float64)
    scores = np.concatenate([(block.astype(np.float64) * exact).sum(1) for block in keys(size)])
    best = np.argsort(-scores, kind="stable")[:K]
    return np.array_equal(index.search(query, K)[1][0], best)


def read_all(mapped: np.memmap[Any, np.dtype[np.uint64]]) -> int:
    """One pass over the bytes: the sum of its words."""
    return int(mapped.sum())


def seconds(act: Callable[[], object]) -> float:
    """Processor time that it takes: what else the machine does is not counted."""
    start = time.process_time()
    act()
    return time.process_time() - start


def _spread(values: list[float]) -> dict[str, float]:
    return {"least": round(min(values), 6), "median": round(median(values), 6)}


if __name__ == "__main__":
    main()
