"""``python -m benchmarks.pocket``: the page ``docs/pocket-testbed.md``, from the results that are there.

The results are made by ``python -m recipes.pocket --steps scorers`` and by ``python -m benchmarks.pocket.base``,
``.loras`` and ``.table``.
"""

from __future__ import annotations

import json
from typing import Any

from benchmarks.files import write_whole
from benchmarks.pocket.command import RESULTS
from benchmarks.pocket.page import page
from benchmarks.provenance import ROOT

PAGE = ROOT / "docs" / "pocket-testbed.md"
NAMES = ("scorers", "base", "loras", "table")


def results() -> dict[str, dict[str, Any]]:
    """Name -> results, of those that were measured."""
    paths = {name: RESULTS / f"pocket-{name}.json" for name in NAMES}
    return {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name, path in paths.items()
        if path.is_file()
    }


def main() -> None:
    """Write the page."""
    write_whole(PAGE, page(results()))


if __name__ == "__main__":
    main()
