"""``lorafusion train``: new LoRAs, and gates between LoRAs."""

from __future__ import annotations

import typer

from lorafusion.cli.train_gates import gates
from lorafusion.cli.train_lora import lora
from lorafusion.cli.train_spectral import spectral

train = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Make LoRAs of your own, and gates."
)

train.command("lora")(lora)
train.command("spectral")(spectral)
train.command("gates")(gates)
