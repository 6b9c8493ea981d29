"""``python -m benchmarks.routing.make``: write all sets anew; the same files every time."""

from __future__ import annotations

from benchmarks.routing.make import composlora, table3, thousand

if __name__ == "__main__":
    table3.make()
    composlora.make()
    thousand.make()
