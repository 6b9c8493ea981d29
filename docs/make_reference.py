"""Write the reference pages that are made from the code: the command line, and the methods.

`make docs` runs this; a test fails when a page is not what it would write.
"""

from __future__ import annotations

import inspect
import os
from pathlib import Path

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- written by docs/make_reference.py from the code; do not edit -->\n\n"


def command_line() -> str:
    """Every command's help, as the terminal shows it."""
    os.environ.update(
        {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1", "_TYPER_STANDARD_TRACEBACK": "1"}
    )
    from typer.main import get_command
    from typer.testing import CliRunner

    from lorafusion.cli import app

    def pages(names: list[str]) -> list[str]:
        shown = CliRunner().invoke(app, [*names, "--help"], env={"COLUMNS": "100"}).output
        text = "\n".join(line.rstrip() for line in shown.strip().splitlines())
        found = [f"## {' '.join(['lorafusion', *names])}\n\n```text\n{text}\n```\n"]
        command = get_command(app)
        for name in names:
            command = command.commands[name]
        for name in getattr(command, "commands", {}):
            found += pages([*names, name])
        return found

    return "# Command line\n\n" + NOTE + "\n".join(pages([]))


def methods() -> str:
    """Every method: what it does, its options, its source."""
    from lorafusion.methods import METHODS, options_of

    parts = ["# Methods\n", NOTE]
    for name in METHODS:
        module = inspect.getmodule(METHODS[name])
        assert module is not None
        options = ", ".join(f"`{key}={value!r}`" for key, value in options_of(name).items())
        parts += [
            f"## {name}\n\n{inspect.getdoc(module)}\n\n",
            f"{inspect.getdoc(METHODS[name])}\n\n",
            f"Options: {options or 'none'}; `strength` for all.\n\n",
        ]
    return "".join(parts).rstrip() + "\n"


PAGES = {"command-line.md": command_line, "methods.md": methods}

if __name__ == "__main__":
    for page, text in PAGES.items():
        (FOLDER / page).write_text(text(), encoding="utf-8")
