"""``lorafusion library``: what is in a folder of LoRAs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorafusion.cli import options, show
from lorafusion.errors import UnknownName
from lorafusion.registry import unknown

if TYPE_CHECKING:
    from lorafusion.lora import LoRA

library = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Look into a folder of LoRAs."
)


@library.command("list")
def list_entries(library: options.Library = None, json: options.Json = False) -> None:
    """List the LoRAs of a folder, with the words that prompts are compared with."""
    from lorafusion.cli import setup

    opened = setup.open_library(library, None)
    entries = [_document(entry) for entry in opened]
    if json:
        show.document({"folder": str(opened.folder), "loras": entries})
        return
    lines = [(e["name"], e["category"], e["text"], e["text_from"]) for e in entries]
    show.rows(("LoRA", "category", "text", "text from"), lines)


@library.command("show")
def show_entry(
    name: Annotated[str, typer.Argument(help="Name of the LoRA, as 'library list' shows it.")],
    library: options.Library = None,
    json: options.Json = False,
) -> None:
    """Show one LoRA: its text, rank, alpha, and what it changes in the base model."""
    from lorafusion.cli import setup

    entries = {entry.name: entry for entry in setup.open_library(library, None)}
    if name not in entries:
        raise UnknownName(unknown("LoRA", name, list(entries)))
    entry = entries[name]
    described = _document(entry) | _measured(entry.load())
    if json:
        show.document(described)
        return
    lines = [(key.replace("_", " "), _written(value)) for key, value in described.items()]
    show.rows(("", ""), lines)


@library.command("calibrate")
def calibrate(
    encoder: options.Encoder = "minilm",
    base: options.Base = None,
    json: options.Json = False,
) -> None:
    """Measure from which score on an encoder's phrases ask for a LoRA, and remember it.

    Needs no examples of yours: pairs of phrases that mean the same come along.
    """
    from lorafusion.cli import setup
    from lorafusion.routing.calibration import calibration_of, store
    from lorafusion.routing.measure import measure

    with show.busy("Measuring the encoder"):
        setup.quiet()
        pipe = setup.open_base(base, "auto", "auto") if encoder == "pipeline" else None
        model = setup.open_encoder(encoder, pipe)
        before, found = calibration_of(model), measure(model)
        path = store(model, found.calibration)
    told = {
        "encoder": model.id,
        "threshold": found.calibration.threshold,
        "slope": found.calibration.slope,
        "threshold_before": before.threshold,
        "slope_before": before.slope,
        "found": found.found,
        "best": found.best,
        "pairs": found.pairs,
        "path": str(path),
    }
    if json:
        show.document(told)
        return
    show.rows(("", ""), [(key.replace("_", " "), _written(value)) for key, value in told.items()])


def _document(entry: Any) -> dict[str, Any]:
    return {
        "name": entry.name,
        "path": str(Path(entry.path)),
        "category": entry.category,
        "text": entry.text,
        "text_from": str(entry.text_from),
        "triggers": list(entry.triggers),
        "sha256": entry.sha256,
    }


def _measured(lora: LoRA) -> dict[str, Any]:
    """Family, ranks, alphas and targets: distinct values, and a count for each component."""
    deltas = lora.deltas.values()
    return {
        "family": lora.family,
        "rank": sorted({delta.rank for delta in deltas}),
        "alpha": sorted({round(delta.scale * delta.rank, 6) for delta in deltas}),
        "targets": {part: len(lora.part(part)) for part in lora.components},
        "metadata": dict(lora.metadata),
    }


def _written(value: object) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}: {item}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)
