"""``lorafusion bench``: what evaluations need, from testbeds to tables."""

from __future__ import annotations

import typer

from lorafusion.cli.bench_correlate import correlate
from lorafusion.cli.bench_judge import judge
from lorafusion.cli.bench_rate import rate, ratings
from lorafusion.cli.bench_report import report
from lorafusion.cli.bench_run import run

bench = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Compare methods: make images, score them, report.",
)

bench.command("run")(run)
bench.command("report")(report)
bench.command("judge")(judge)
bench.command("rate")(rate)
bench.command("ratings")(ratings)
bench.command("correlate")(correlate)
