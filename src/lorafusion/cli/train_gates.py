"""``lorafusion train gates``: MoLE's gates for a set of LoRAs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lorafusion.cli import options
from lorafusion.cli import train_options as given
from lorafusion.cli.train_options import CONCEPT, TRAINING

if TYPE_CHECKING:
    from lorafusion.library import Entry
    from lorafusion.training import TrainedGates

Names = Annotated[list[str], typer.Argument(help="LoRAs of the library, two or more.")]
Prompts = Annotated[
    list[str] | None,
    typer.Option(
        "--prompt",
        help="A prompt that asks for all of them; may be given several times. What each shows, when left out.",
        show_default=False,
        rich_help_panel=CONCEPT,
    ),
]
Pictures = Annotated[
    int,
    typer.Option(
        help="Pictures of each LoRA, and of each prompt, that are made to learn from.",
        rich_help_panel=CONCEPT,
    ),
]
Balance = Annotated[
    float,
    typer.Option(
        help="What the balancing loss counts, which keeps one LoRA from taking every gate; 0 for none.",
        rich_help_panel=TRAINING,
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        help="Optimiser steps; 400 when left out.", show_default=False, rich_help_panel=TRAINING
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(
        help="Pictures in one forward; 2 when left out, 4 for pocket.",
        show_default=False,
        rich_help_panel=TRAINING,
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(
        help="Learning rate; 0.001 when left out, 0.01 for pocket.",
        show_default=False,
        rich_help_panel=TRAINING,
    ),
]


def gates(
    names: Names,
    out: given.Out,
    library: options.Library = None,
    prompt: Prompts = None,
    pictures: Pictures = 8,
    balance: Balance = 0.5,
    steps: Steps = None,
    batch: Batch = None,
    accumulate: given.Accumulate = None,
    rate: Rate = None,
    size: given.Size = None,
    seed: given.Seed = 0,
    save_every: given.SaveEvery = None,
    base: options.Base = None,
    device: options.Device = "auto",
    work: given.Work = None,
    restart: given.Restart = False,
    json: options.Json = False,
) -> None:
    """Train gates that weigh these LoRAs block by block (MoLE), for the method mole.

    No pictures are needed: the LoRAs draw them. Stopped half-way, the same command goes on where it was.
    """
    from lorafusion import formats, training
    from lorafusion.cli import setup, show, trainer

    out = out.expanduser()
    trainer.check_out(out)
    numbers = setup.given(
        steps=steps, batch=batch, accumulate=accumulate, rate=rate, size=size, save_every=save_every
    )
    usual = training.POCKET_GATES if base in (None, setup.POCKET) else training.GATES
    recipe = training.changed(usual, seed=seed, **numbers)
    opened = setup.open_library(library, base)
    entries = [opened[name] for name in names]
    task = training.Task(
        [entry.load() for entry in entries], [_phrase(entry) for entry in entries],
        prompt or (), pictures, balance,
    )  # fmt: skip
    folder = out.with_suffix(".training") if work is None else work.expanduser()
    with show.busy("Opening the base model"):
        setup.quiet()
        pipe = setup.open_base(base, recipe.precision, device)
    brush = training.Brush(guidance=setup.guidance(base), size=recipe.size)
    with trainer.progress("pictures") as on_picture, trainer.progress("steps") as on_step:
        made = training.train_gates(
            pipe, task, recipe, folder,
            brush=brush, on_picture=on_picture, on_step=on_step, restart=restart,
        )  # fmt: skip
    formats.write_gates(made.gates, out, made.metadata)
    training.forget(folder)
    _tell(out, made, json)


def _phrase(entry: Entry) -> str:
    """What the LoRA shows, in words that its training used."""
    return entry.triggers[0] if entry.triggers else entry.text


def _tell(out: Path, made: TrainedGates, json: bool) -> None:
    from lorafusion.cli import show

    if json:
        show.document(
            {
                "path": str(out),
                "blocks": len(made.gates.blocks),
                "resumed_at": made.resumed_at,
                "shares": dict(made.shares),
                "curve": [vars(entry) for entry in made.curve],
            }
        )
        return
    begun = f" (resumed after step {made.resumed_at})" if made.resumed_at else ""
    shares = ", ".join(f"{name} {share:.0%}" for name, share in made.shares.items())
    show.line(
        f"{out}: {len(made.gates.blocks)} blocks, {shares}; loss {made.curve[0].loss:.4f} to "
        f"{made.curve[-1].loss:.4f} in {made.curve[-1].step} steps{begun}; use it with --method mole --option "
        f"gates={out}"
    )
