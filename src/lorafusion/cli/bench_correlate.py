"""``lorafusion bench correlate``: what metrics say, compared with what people say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lorafusion.cli import options, show

if TYPE_CHECKING:
    from lorafusion.evaluation.people.correlate import Compared
    from lorafusion.evaluation.statistics.bootstrap import Estimate


def correlate(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.csv",
            help="One row an image: columns set, method, human1_AXIS, human2_AXIS, and metrics.",
        ),
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Look at this metric only; may be given several times.", metavar="NAME"),
    ] = None,
    draws: Annotated[
        int, typer.Option(min=1, help="Resamples of sets behind each interval.")
    ] = 2000,
    json: options.Json = False,
) -> None:
    """Compare metrics with people: correlations pooled and within sets, and pairs ordered alike."""
    from lorafusion.evaluation.people.correlate import correlate as compare
    from lorafusion.evaluation.people.correlate import document
    from lorafusion.evaluation.people.ratings import read_ratings

    ratings = read_ratings(file.expanduser())
    with show.busy("Drawing resamples"):
        compared = compare(ratings, metric or [], draws=draws)
    told = document(ratings, compared)
    if json:
        show.document(told)
        return
    titles = ("metric, axis", "", "pooled", "within sets")
    show.rows(titles, [cells for one in compared for cells in _lines(one)])
    for axis, said in told["raters"].items():
        alpha = "unknown" if said["alpha"] is None else f"{said['alpha']:.3f}"
        show.line(f"{axis}: {said['raters']} raters, Krippendorff's alpha {alpha}")
    for name in told["ignored"]:
        show.line(f"column {name!r} holds no numbers and was left out")


def _lines(one: Compared) -> list[tuple[str, ...]]:
    """A line for each correlation, and one for pairs; metric and axis stand on the first two."""
    names = [one.metric, f"  {one.axis}", "", ""]
    lines = [
        (name.capitalize(), _cell(pooled), _cell(one.within[name]))
        for name, pooled in one.pooled.items()
    ]
    lines.append((f"{one.pairs.pairs} pairs alike", "", _cell(one.agreement, percent=True)))
    return [(name, *cells) for name, cells in zip(names, lines, strict=True)]


def _cell(estimate: Estimate, *, percent: bool = False) -> str:
    form = "{:.1%}" if percent else "{:.3f}"
    value, low, high = (
        "-" if number is None else form.format(number)
        for number in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} [{low}, {high}]"
