"""``lorafusion bench report``: tables, plots and a page from the images of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from lorafusion.cli import options, show
from lorafusion.cli.bench_run import File
from lorafusion.cli.columns import blocks


def report(
    file: File,
    sheets: Annotated[
        int, typer.Option(min=0, help="Sets whose images are shown on the page.")
    ] = 12,
    draws: Annotated[
        int, typer.Option(min=1, help="Resamples of sets behind each interval.")
    ] = 2000,
    json: options.Json = False,
) -> None:
    """Score the images that are there and write tables (Markdown, LaTeX, CSV), plots and a page."""
    from lorafusion.cli import setup
    from lorafusion.evaluation.report.tables import arm_cells
    from lorafusion.evaluation.report.write import report as write_report
    from lorafusion.evaluation.runner.config import read_bench

    bench = read_bench(file.expanduser())
    setup.quiet()
    with show.busy("Scoring"):
        told, files = write_report(bench, sheets=sheets, draws=draws)
    if json:
        show.document(told | {"files": [str(path) for path in files]})
        return
    blocks(*arm_cells(told))
    show.line("")
    for path in files:
        show.line(str(path))
