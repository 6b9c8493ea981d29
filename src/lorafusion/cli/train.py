"""``lorafusion train``: new LoRAs."""

from __future__ import annotations

import typer

from lorafusion.cli.train_lora import lora

train = typer.Typer(no_args_is_help=True, add_completion=False, help="Make LoRAs of your own.")


@train.callback()
def described() -> None:
    """Make LoRAs of your own."""  # without a callback, typer makes a lone command the whole group


train.command("lora")(lora)
