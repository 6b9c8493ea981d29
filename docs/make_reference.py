"""Write the reference pages that are made from the code: the command line, and the methods.

`make docs` runs this; a test fails when a page is not what it would write.
"""

from __future__ import annotations

import inspect
import os
from pathlib import Path

FOLDER = Path(__file__).parent
NOTE = "<!-- written by docs/make_reference.py from the code; do not edit -->\n\n"


def command_line() -> str:
    """Every command's help, as the terminal shows it."""
    os.environ.update(
        {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1", "_TYPER_STANDARD_TRACEBACK": "1"}
    )
    from typer.main import get_command
    from typer.testing import CliRunner

    from lorafusion.cli import app

    def helps(names: list[str]) -> list[str]:
        shown = CliRunner().invoke(app, [*names, "--help"], env={"COLUMNS": "100"}).output
        text = "\n".join(line.rstrip() for line in shown.strip().splitlines())
        found = [f"## {' '.join(['lorafusion', *names])}\n\n```text\n{text}\n```\n"]
        command = get_command(app)
        for name in names:
            command = command.commands[name]
        for name in getattr(command, "commands", {}):
            found += helps([*names, name])
        return found

    return "# Command line\n\n" + NOTE + "\n".join(helps([]))


def methods() -> str:
    """All methods in one table."""
    from lorafusion.cli.methods import about
    from lorafusion.methods import METHODS

    rows = []
    for name in METHODS:
        told = about(name)
        export = "yes" if told["exportable"] else "no"
        rows.append(
            f"| [`{name}`]({name}.md) | {told['summary']} | {told['calls_per_step']} | "
            f"{told['training']} | {export} |\n"
        )
    return (
        f"# Methods\n\n{NOTE}"
        "Every way to compose LoRAs that there is here, with its paper and its promises; tests hold it to them.\n"
        "L is the number of LoRAs; calls are predictions of the denoiser in one step.\n\n"
        "| method | | calls a step | training | one file |\n|---|---|---|---|---|\n"
        + "".join(rows)
        + "\nAll of them on the bundled model, two, three and five LoRAs, the same prompts and seed for all "
        "(`python -m benchmarks.methods`):\n\n![A sheet of pictures, three for each method](pictures/sheet.png)\n\n"
        "[Compared](comparison.md) on sets of the bundled model's LoRAs, by scores with intervals; what was tried for "
        "`auto`.\n\n"
        "`lorafusion methods` says the same in a terminal. How to add one: [Contributing](../../CONTRIBUTING.md).\n"
    )


def method(name: str) -> str:
    """One method: formula, paper, cost, chart, picture, and what its code says."""
    from lorafusion.cli.methods import about, cost
    from lorafusion.methods import METHODS, options_of

    told = about(name)
    options = ", ".join(f"`{key}={value!r}`" for key, value in options_of(name).items())
    return (
        f"# {name}\n\n{NOTE}{told['summary']}\n\n```text\n{told['formula']}\n```\n\n"
        f"{told['paper']}\n\n{cost(told)[0].upper()}{cost(told)[1:]}.\n\n"
        f"![The gates of each LoRA over the steps](pictures/{name}.svg)\n\n"
        f"![Pictures with two, three and five LoRAs](pictures/{name}.png)\n\n"
        f"{inspect.getdoc(METHODS[name])}\n\n"
        f"Options: {options or 'none'}; `strength` for all.\n\n[All methods](README.md)\n"
    )


def pages() -> dict[str, str]:
    """Path under docs -> text, of every page that is made from the code."""
    from lorafusion.methods import METHODS

    return {
        "reference/command-line.md": command_line(),
        "methods/README.md": methods(),
        **{f"methods/{name}.md": method(name) for name in METHODS},
    }


if __name__ == "__main__":
    for page, text in pages().items():
        (FOLDER / page).parent.mkdir(exist_ok=True)
        (FOLDER / page).write_text(text, encoding="utf-8")
