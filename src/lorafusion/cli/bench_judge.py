"""``lorafusion bench judge``: a vision-language model compares two methods of a run."""

from __future__ import annotations

import json as text
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorafusion.cli import options, show
from lorafusion.cli.bench_run import File
from lorafusion.cli.columns import blocks
from lorafusion.errors import BadOption

if TYPE_CHECKING:
    from lorafusion.evaluation.judge.answer import Asker
    from lorafusion.evaluation.judge.cost import Cost

Arm = Annotated[str, typer.Argument(help="A method of the run, as its table names it.")]
Model = Annotated[
    str,
    typer.Option(help="The model, as the server calls it; without --url a folder or hub id."),
]
Url = Annotated[
    str | None,
    typer.Option(
        help="An OpenAI-compatible server, such as http://localhost:8000/v1; the model runs in this "
        "process when left out.",
        show_default=False,
    ),
]


def judge(
    file: File,
    first: Arm,
    second: Arm,
    model: Model,
    url: Url = None,
    key_from: Annotated[
        str, typer.Option(help="Environment variable that holds the server's key.", metavar="NAME")
    ] = "OPENAI_API_KEY",
    price_in: Annotated[
        float | None, typer.Option(help="Price of a million tokens in.", show_default=False)
    ] = None,
    price_out: Annotated[
        float | None, typer.Option(help="Price of a million tokens out.", show_default=False)
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")] = 1024,
    workers: Annotated[int, typer.Option(min=1, help="Questions under way at once.")] = 1,
    yes: Annotated[
        bool, typer.Option("--yes", help="Start without asking, once the cost was told.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Compare two methods image by image, each pair in both orders; nothing is asked twice.

    Answers are kept under the run's folder. The preference for a place is measured and printed.
    """
    from lorafusion.evaluation.judge.cache import Cached
    from lorafusion.evaluation.judge.compare import pairs_of
    from lorafusion.evaluation.judge.cost import estimate
    from lorafusion.evaluation.judge.outcome import outcome
    from lorafusion.evaluation.judge.protocol import judge as ask
    from lorafusion.evaluation.report.scores import write_text
    from lorafusion.evaluation.runner.config import read_bench

    if (price_in is None) != (price_out is None):
        raise BadOption("--price-in and --price-out belong together; give both or none")
    bench = read_bench(file.expanduser())
    pairs = pairs_of(bench, first, second)
    asker = Cached(_asker(model, url, key_from, max_tokens), bench.out / "judge" / "answers")
    prices = (price_in, price_out) if price_in is not None and price_out is not None else None
    _agree(estimate(pairs, asker, max_tokens, prices), yes or url is None)
    verdicts = ask(pairs, asker, workers=1 if url is None else workers)
    told = {"judge": asker.asker.id} | outcome(first, second, verdicts)
    name = f"{Path(model).name}-{first}-{second}.json"
    content = told | {"verdicts": [asdict(one) for one in verdicts]}
    write_text(bench.out / "judge" / name, text.dumps(content, indent=1) + "\n")
    if json:
        show.document(told)
    else:
        _tell(told)


def _asker(model: str, url: str | None, key_from: str, max_tokens: int) -> Asker:
    from lorafusion.cli import setup

    if url is not None:
        from lorafusion.evaluation.judge.endpoint import Endpoint

        return Endpoint(url, model, key_from=key_from, max_tokens=max_tokens)
    from lorafusion.evaluation.judge.local import Local

    with show.busy("Opening the judge"):
        setup.quiet()
        return Local(model, max_tokens=max_tokens)


def _agree(cost: Cost, agreed: bool) -> None:
    """Tell the cost, and go on only if it was agreed to."""
    out = show.console(error=True)
    new = cost.questions - cost.known
    money = "" if cost.money is None else f", at most about {cost.money:.2f} in your currency"
    out.print(
        f"{cost.questions} questions, {cost.known} of them answered before; {new} to ask: about "
        f"{cost.tokens_in} tokens in and at most {cost.tokens_out} out{money}",
        soft_wrap=True,
    )
    if agreed or not new:
        return
    if not out.is_terminal or not typer.confirm("Start?", err=True):
        raise BadOption("nothing was asked; give --yes to start at this cost")


def _tell(told: dict[str, Any]) -> None:
    show.line(
        f"{told['answered in both orders']} of {told['pairs']} pairs answered in both orders; "
        f"failures {told['failures'] or 'none'}; troubles {told['troubles'] or 'none'}"
    )
    lines = []
    for axis, one in told["axes"].items():
        shares = (f"{one[key]['value']:.1%}" for key in ("wins", "ties", "losses"))
        marks = " : ".join(f"{mark:.2f}" for mark in one["mean marks"])
        wins = one["first place wins"]
        place = "-" if wins is None else f"{wins:.1%}"
        worth = f"{one['first place is worth']['value']:+.2f}"
        agree = f"{one['both orders agree']['value']:.1%}"
        lines.append((axis, marks, *shares, agree, place, worth))
    titles = ("axis", f"{told['first']} : {told['second']}", "wins", "ties", "losses")
    if lines:
        blocks((*titles, "orders agree", "first place wins", "and is worth"), lines)
