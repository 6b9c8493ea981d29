"""``python -m benchmarks.library``: see the README beside this file."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.files import write_whole
from benchmarks.library import clock
from benchmarks.library.folder import change, make
from benchmarks.provenance import provenance

RUNS = 5
CLI = ("-m", "lorafusion", "library")
SAFE_OPEN = """
import sys; from pathlib import Path; from safetensors import safe_open
for path in Path(sys.argv[1]).rglob("*.safetensors"):
    with safe_open(path, "np") as file: file.metadata(), list(file.keys())
"""
JSON = """
import json, sys; from pathlib import Path
for path in Path(sys.argv[1]).rglob("*.safetensors"):
    with path.open("rb") as file: json.loads(file.read(int.from_bytes(file.read(8), "little")))
"""
EXPLAIN = """
import sys, time; start = time.perf_counter()
from lorafusion.library import Library; from lorafusion.routing import encoder_of, route
library = Library(sys.argv[1], lenient=True); opened = time.perf_counter()
model = encoder_of("minilm"); model.passing(["warm"]); loaded = time.perf_counter()
found = route("a thing", library, encoder=model)
print(opened - start, loaded - opened, time.perf_counter() - loaded)
"""
STORE_KEYS = """
import sys, torch; from torch.nn.functional import normalize
from lorafusion.library import Library; from lorafusion.routing import encoder_of, route
class Drawn:
    def __init__(self, model): self.id, self.words = model.id, model.words
    def encode(self, texts): return normalize(torch.randn(len(texts), 384), dim=1)
    quick = encode
route("a thing", Library(sys.argv[1]), encoder=Drawn(encoder_of("minilm")))
"""
OPEN = """
import sys, time; from lorafusion.library import Library
start = time.perf_counter(); Library(sys.argv[1]); print(time.perf_counter() - start)
"""
KILLED = """
import os, signal, sys; from pathlib import Path; from lorafusion.library.survey import survey
stop = lambda done, most: os.kill(os.getpid(), signal.SIGKILL) if done == most // 2 else None
survey(Path(sys.argv[1]), progress=stop)
"""


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/library.json"))
    asked = parser.parse_args()
    command = "python -m benchmarks.library " + " ".join(sys.argv[1:])
    origin = provenance(command.strip(), [], count=asked.files, runs=RUNS)
    with tempfile.TemporaryDirectory(prefix="lorafusion-") as temporary:
        home = Path(temporary)
        os.environ["LORAFUSION_CACHE"] = str(home / "cache")
        make(home / "loras", asked.files)
        found = measure(home)
    document = {"files": asked.files, **found, "provenance": origin}
    write_whole(asked.out, json.dumps(document, indent=1) + "\n")
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


def measure(home: Path) -> dict[str, Any]:
    """All numbers for the folder `loras` in `home`."""
    folder, cache = home / "loras", home / "cache"
    at = ("--library", str(folder))
    anew = {
        "safe_open": clock.timed(["-c", SAFE_OPEN, str(folder)], 2)[0],
        "json": clock.timed(["-c", JSON, str(folder)], 2)[0],
    }
    cold = {}
    for workers in (1, os.cpu_count() or 1):
        shutil.rmtree(cache, ignore_errors=True)
        words = [*CLI, "scan", *at, "--workers", str(workers)]
        cold[f"{workers} processes"], said = clock.timed(words)
        sys.stderr.write(f"{workers} processes: {said}\n")
    listing = clock.timed([*CLI, "list", *at], RUNS)[0]
    found = {
        "every header anew": anew,
        "cold scan": cold,
        "warm scan": clock.timed([*CLI, "scan", *at], RUNS)[0],
        "warm list": listing,
        "warm list --json": clock.timed([*CLI, "list", *at, "--json"], RUNS)[0],
        "warm Library, in process": float(clock.timed(["-c", OPEN, str(folder)])[1]),
        "warm explain": _explained(folder, at),
        "one changed file": _changed(folder, at),
        "after kill -9": _killed(folder, cache, at),
        "catalogue bytes": sum(path.stat().st_size for path in cache.iterdir()),
    }
    best = min(times["median"] for times in anew.values())
    return found | {"ratio to every header anew": round(best / listing["median"], 1)}


def _explained(folder: Path, at: tuple[str, ...]) -> dict[str, Any]:
    """The command, where keys are stored; and what its time goes to, in process.

    The keys are drawn by lot, since making them is the encoder's time and not the library's.
    """
    clock.timed(["-c", STORE_KEYS, str(folder)])
    words = ["-m", "lorafusion", "explain", "a thing", *at, "--json"]
    torch = clock.timed(["-c", "import torch"], 3)[0]
    parts = clock.timed(["-c", EXPLAIN, str(folder)])[1].split()
    names = ("imports and library", "encoder loaded", "routed")
    return {
        "command": clock.timed(words, 3)[0],
        "import torch, which it does without": torch,
        "in process": dict(zip(names, map(float, parts), strict=True)),
    }


def _changed(folder: Path, at: tuple[str, ...]) -> dict[str, Any]:
    """One file written anew, three times; it alone is read."""
    times = []
    for _ in range(3):
        change(folder)
        seconds, said = clock.timed([*CLI, "scan", *at])
        assert " 1 read, " in said, said
        times.append(seconds["median"])
    return {"median": sorted(times)[1], "fastest": min(times), "slowest": max(times), "runs": 3}


def _killed(folder: Path, cache: Path, at: tuple[str, ...]) -> dict[str, Any]:
    shutil.rmtree(cache)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False)  # noqa: S603 - our own words
    assert killed.returncode == -signal.SIGKILL
    times, said = clock.timed([*CLI, "scan", *at, "--workers", "1"])
    return {"next scan": times, "said": said}


if __name__ == "__main__":
    main()
