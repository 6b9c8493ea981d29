"""``lorafusion bench rate`` and ``bench ratings``: people look at images, and what they said as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lorafusion.cli import options, show
from lorafusion.cli.bench_run import File
from lorafusion.errors import BadOption


def rate(
    file: File,
    pair: Annotated[
        str | None,
        typer.Option(
            help="Two methods to choose between, such as merge:fusion; images are rated one by one "
            "from 1 to 5 when left out.",
            metavar="FIRST:SECOND",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="Rate this method's images only; may be given several times."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, help="Port; 0 for any that is free.")] = 0,
) -> None:
    """Open a local page on which several people rate images without knowing what made them.

    Sides and order are random for each rater; the page can be closed and opened again. Stop with Ctrl-C.
    """
    from lorafusion.evaluation.people.desk import Desk
    from lorafusion.evaluation.people.store import Store
    from lorafusion.evaluation.people.tasks import items
    from lorafusion.evaluation.runner.config import read_bench

    names = pair.split(":") if pair else []
    if pair and len(names) != 2:
        raise BadOption(f"--pair is {pair!r}; write FIRST:SECOND, such as merge:fusion")
    bench = read_bench(file.expanduser())
    desk = Desk(items(bench, names, method or []), Store(bench.out / "people"), port)
    show.line(f"Open {desk.url} in a browser; answers go to {bench.out / 'people'}")
    desk.serve()


def ratings(
    file: File,
    out: Annotated[
        Path, typer.Option(help="CSV to write, for 'bench correlate'.", metavar="FILE.csv")
    ],
    choices: Annotated[
        bool, typer.Option("--choices", help="Write choices between two images instead of ratings.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Write what people said, beside what metrics say of the same images."""
    from lorafusion.evaluation.people.export import choices_csv, ratings_csv
    from lorafusion.evaluation.people.store import Store
    from lorafusion.evaluation.report.scores import score, write_text
    from lorafusion.evaluation.runner.config import read_bench

    bench = read_bench(file.expanduser())
    store = Store(bench.out / "people")
    if choices:
        text = choices_csv(store)
    else:
        values: dict[str, dict[str, float]] = {}
        for asked in bench.metrics:
            for name, measures in score(bench, asked).values.items():
                values.setdefault(name, {}).update(measures)
        text = ratings_csv(store, values)
    write_text(out.expanduser(), text)
    told = {"path": str(out), "raters": store.raters, "rows": text.count("\n") - 1}
    if json:
        show.document(told)
    else:
        show.line(f"{out}: {told['rows']} rows of {len(store.raters)} raters")
