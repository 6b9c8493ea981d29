"""Write: every file of a report, into the folder of its run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lorafusion.evaluation.report.page import page
from lorafusion.evaluation.report.plot import plot
from lorafusion.evaluation.report.scores import score, write_text
from lorafusion.evaluation.report.summary import summary
from lorafusion.evaluation.report.tables import comma, latex, markdown
from lorafusion.evaluation.runner.config import Bench
from lorafusion.evaluation.statistics.bootstrap import DRAWS

SHEETS = 12


def report(
    bench: Bench,
    *,
    sheets: int = SHEETS,
    draws: int = DRAWS,
    on_unit: Callable[[int, int], object] | None = None,
) -> tuple[dict[str, Any], list[Path]]:
    """Score what is there and write ``report/``: report.json, tables, plots and index.html.

    Args:
        bench: the run; units that are not finished are left out.
        sheets: sets on the page's contact sheets.
        draws: resamples of an interval.
        on_unit: told of the scoring, ``on_unit(done, all)``.

    Returns:
        The summary, and the files that were written.

    Raises:
        InputError: as the metrics.
        NotWritable: the folder refuses a file.
    """
    scored = [score(bench, asked, on_unit=on_unit) for asked in bench.metrics]
    told = summary(bench, scored, draws=draws)
    folder = bench.report
    texts = {
        "report.json": json.dumps(told, indent=1, allow_nan=False) + "\n",
        "table.md": markdown(told),
        "table.tex": latex(told),
        "table.csv": comma(told),
        "index.html": page(bench, told, sheets=sheets),
    }
    texts |= {f"{measure}.svg": plot(told, measure) for measure in told["measures"]}
    for name, text in texts.items():
        write_text(folder / name, text)
    return told, [folder / name for name in texts]
