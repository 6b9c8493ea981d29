"""The command ``lorafusion``. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import atexit
import gc
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from lorafusion.cli.bench import bench
from lorafusion.cli.explain import explain
from lorafusion.cli.export import export
from lorafusion.cli.generate import generate
from lorafusion.cli.library import library
from lorafusion.cli.methods import methods
from lorafusion.cli.train import train
from lorafusion.errors import LorafusionError
from lorafusion.version import __version__

INTERRUPTED = 130
SHORT = ("explain", "library")
"""Commands that end soon and may make objects of ten thousand LoRAs."""

app = typer.Typer(
    name="lorafusion",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(generate)
app.command()(explain)
app.command()(export)
app.command()(methods)
app.add_typer(library, name="library")
app.add_typer(bench, name="bench")
app.add_typer(train, name="train")


def _show_version(asked: bool) -> bool:
    if asked:
        typer.echo(f"lorafusion {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def lorafusion(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and leave."
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Show where an error came from; may stand after the command."),
    ] = False,
) -> None:
    """Turn a prompt and a folder of LoRAs into one composed image."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0: done. 1: it broke while running. 2: the input can be mended. 130: interrupted.
    An error is one line on stderr; ``--debug`` shows the traceback as well.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = words[: words.index("--")] if "--" in words else words
    debug = "--debug" in options
    if debug:
        words.remove("--debug")
    with warnings.catch_warnings(), _unswept(words[:1]):
        if not debug:
            warnings.simplefilter("ignore")
        return _run(words, debug)


@contextmanager
def _unswept(command: list[str]) -> Iterator[None]:
    """Spare a short command the garbage collector, which would look through all its objects many times."""
    spared = bool(command) and command[0] in SHORT and gc.isenabled()
    if spared:
        gc.disable()
    try:
        yield
    finally:
        if spared:
            # What is here by now counts as old, or the next object would set off a look through all of it; and
            # so would the end of the process.
            gc.freeze()
            gc.unfreeze()
            gc.enable()
            atexit.register(gc.freeze)


def _run(words: list[str], debug: bool) -> int:
    try:
        code = app(args=words, prog_name="lorafusion", standalone_mode=False)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        message, code = _told(error)
        if message:
            sys.stderr.write(f"lorafusion: {' '.join(message.split())}\n")
    if code == INTERRUPTED:
        sys.stderr.write("lorafusion: interrupted; nothing was left half-written\n")
    return code if isinstance(code, int) else 0


def _told(error: Exception) -> tuple[str, int]:
    """What to say about an error, and the exit code."""
    if isinstance(error, LorafusionError):
        return str(error), error.exit_code
    # Usage errors belong to a copy of click inside typer, or to click itself, by version.
    if hasattr(error, "format_message"):
        if not error.format_message():  # a command group without a command has shown its help
            return "", 0
        return f"{error.format_message().rstrip('.')}. See 'lorafusion --help'.", 2
    return f"{type(error).__name__}: {error} (--debug shows where)", 1
