"""Workers: processes that read files for a scan.

    python -m lorafusion.library.workers

reads one path a line, as JSON, from stdin and answers with one reading a line. When the scan is
killed, its pipe closes and the worker ends. No worker imports the program that scans, so that a
script needs no guard around it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TypeAlias

from lorafusion.library.reading import Reading, read_file

Read: TypeAlias = Callable[[Path], tuple[Path, Reading]]

WORTHWHILE = 1000
"""Files below which starting processes takes longer than it saves."""


def read_files(paths: Sequence[Path], workers: int = 1) -> Iterator[tuple[Path, Reading]]:
    """Each file with its reading, in any order, by `workers` processes; by this one where it is 1."""
    if workers <= 1 or len(paths) < WORTHWHILE:
        yield from ((path, read_file(path)) for path in paths)
        return
    idle: SimpleQueue[Worker] = SimpleQueue()
    crew = [Worker() for _ in range(workers)]
    for worker in crew:
        idle.put(worker)

    def read(path: Path) -> tuple[Path, Reading]:
        worker = idle.get()
        try:
            return path, worker.read(path)
        finally:
            idle.put(worker)

    try:
        with ThreadPoolExecutor(workers) as pool:
            yield from _few_ahead(pool, read, paths, 4 * workers)
    finally:
        for worker in crew:
            worker.close()


def suitable() -> int:
    """As many workers as there are processors for this process, and eight at most."""
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)


class Worker:
    """One process that reads files. It is started anew when it has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def read(self, path: Path) -> Reading:
        """The reading of one file; by this process where no other can be started or it has died."""
        try:
            answer = _ask(self._running(), str(path))
        except OSError:
            return read_file(path)
        if answer is None:
            self.close()
            return read_file(path)
        return answer

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            # What was written to a process that has died is still on its way.
            with suppress(BrokenPipeError), self._process:
                self._process.terminate()
            self._process = None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lorafusion.library.workers"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="ascii",
                start_new_session=True,  # an interrupt is for the scan, which then ends its workers
            )
        return self._process


def serve(asked: IO[str], answered: IO[str]) -> None:
    """Answer each path with its reading, until there is no more."""
    for line in asked:
        answered.write(json.dumps(read_file(Path(json.loads(line))).fields()) + "\n")
        answered.flush()


def _ask(process: subprocess.Popen[str], path: str) -> Reading | None:
    """The answer of a worker, or None where it has ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(path) + "\n")
        process.stdin.flush()
        return Reading.of(json.loads(process.stdout.readline()))
    except (OSError, ValueError):
        return None


def _few_ahead(
    pool: ThreadPoolExecutor, read: Read, paths: Sequence[Path], ahead: int
) -> Iterator[tuple[Path, Reading]]:
    """Results as they come, with a few tasks waiting only, so that leaving early is quick."""
    waiting: set[Future[tuple[Path, Reading]]] = set()
    left = iter(paths)
    try:
        while True:
            for path in left:
                waiting.add(pool.submit(read, path))
                if len(waiting) >= ahead:
                    break
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    finally:
        for future in waiting:
            future.cancel()


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
