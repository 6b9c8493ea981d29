"""``lorafusion bench run``: make the images of a comparison, or go on making them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorafusion.cli import options, show

if TYPE_CHECKING:
    from lorafusion.evaluation.runner.config import Bench
    from lorafusion.evaluation.runner.run import OnImage
    from lorafusion.library import Encoder

File = Annotated[
    Path,
    typer.Argument(metavar="FILE.toml", help="What to compare: testbed, methods, seeds, budgets."),
]
TENTH = 10
"""Where stderr is no terminal, progress is told in so many lines."""


def run(file: File, json: options.Json = False) -> None:
    """Make the images that are not there yet: methods x sets x seeds x budgets.

    May be stopped or killed at any time and started again, also several times at once for one
    file: what is there is not made again, and the images are the same as without a stop.
    """
    from lorafusion.cli import setup
    from lorafusion.evaluation.runner.config import read_bench
    from lorafusion.evaluation.runner.run import run as run_bench

    bench = read_bench(file.expanduser())
    setup.quiet()

    def open_base(base: str) -> Any:
        with show.busy("Opening the base model"):
            return setup.open_base(base or None, bench.dtype, bench.device)

    with _progress() as on_image:
        done = run_bench(bench, open_base, _encoder_of(bench), on_image=on_image)
    told = {"out": str(bench.out), "images": done.images, "made": done.made}
    if json:
        show.document(told)
    else:
        show.line(f"{bench.out}: {done.images} images, {done.made} of them made just now")


def _encoder_of(bench: Bench) -> Encoder | None:
    """The encoder that a run names; None where nothing is routed."""
    from lorafusion.cli import setup

    if not bench.routed:
        return None
    with show.busy("Opening the encoder"):
        return setup.open_encoder(bench.encoder, None)


@contextmanager
def _progress() -> Iterator[OnImage]:
    """A bar with the time left on a terminal; a line for each tenth elsewhere."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    out = show.console(error=True)
    if not out.is_terminal:
        yield _lines()
        return
    columns = (TextColumn("Images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out) as bar:
        task = bar.add_task("Images", total=None)
        yield lambda done, most: bar.update(task, completed=done, total=most)


def _lines() -> OnImage:
    from time import monotonic

    out = show.console(error=True)
    first: list[tuple[float, int]] = []
    told: set[int] = set()

    def on_image(done: int, most: int) -> None:
        now = monotonic()
        first[:] = first or [(now, done)]
        tenth = done * TENTH // max(most, 1)
        if tenth in told:
            return
        told.add(tenth)
        start, there = first[0]
        left = (now - start) / (done - there) * (most - done) if done > there else None
        said = "" if left is None else f", about {left:.0f} s left"
        out.print(f"{done} of {most} images{said}", soft_wrap=True)

    return on_image
