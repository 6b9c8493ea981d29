"""``lorafusion bench``: what evaluations need, from testbeds to tables."""

from __future__ import annotations

import typer

from lorafusion.cli.bench_correlate import correlate

bench = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Compare methods: make images, score them, report.",
)

bench.command("correlate")(correlate)
