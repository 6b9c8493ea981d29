"""A process that runs a bench in children: kills some at random moments, lets two finish it together.

python -m tests.evaluation.killed FILE.toml KILLS
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from lorafusion.evaluation.runner.config import read_bench
from lorafusion.evaluation.runner.run import run
from tests import tiny
from tests.evaluation.benches import opener


def main(file: Path, kills: int) -> None:
    torch.set_num_threads(1)  # a fork has one thread; it must not wait for others
    bench, pipe = read_bench(file), tiny.pipeline("sd")
    rng = random.Random(7)

    def count() -> int:
        return sum(1 for _ in bench.out.rglob("*.png"))

    def start() -> int:
        child = os.fork()
        if not child:
            made = run(bench, opener(pipe)).made
            os._exit(0 if made >= 0 else 1)
        return child

    for _ in range(kills):
        wanted = count() + rng.randint(2, 6)
        child = start()
        while count() < wanted:
            assert os.waitpid(child, os.WNOHANG) == (0, 0), "it ended before it could be killed"
            time.sleep(0.01)
        time.sleep(rng.random() * 0.02)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "it was finished before it could be killed"
    (bench.out / "at-the-kill").write_text(str(count()))
    times = {path: path.stat().st_mtime_ns for path in bench.out.rglob("*.png")}
    for child in [start(), start()]:
        assert os.waitpid(child, 0)[1] == 0
    assert all(path.stat().st_mtime_ns == when for path, when in times.items()), "made twice"


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
