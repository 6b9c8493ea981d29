"""``lorafusion library``: what is in a folder of LoRAs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorafusion.cli import options, shelf, show
from lorafusion.cli.columns import columns
from lorafusion.cli.library_doctor import doctor
from lorafusion.cli.library_scan import scan
from lorafusion.cli.library_search import search
from lorafusion.cli.library_set import set_words

if TYPE_CHECKING:
    from lorafusion.lora import LoRA

library = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Look into a folder of LoRAs."
)


library.command("scan")(scan)
library.command("doctor")(doctor)
library.command("search")(search)
library.command("set")(set_words)


@library.command("list")
def list_entries(library: options.Library = None, json: options.Json = False) -> None:
    """List the LoRAs of a folder, with the words that prompts are compared with."""
    files = shelf.look(library)
    if json:
        from lorafusion.library.hashes import known_hashes
        from lorafusion.library.index import Index

        hashes = known_hashes(files.usable, Index())
        entries = [shelf.describe(file, hashes.get(file.location)) for file in files.usable]
        document = {"folder": str(files.survey.folder), "loras": entries}
        show.document(document | shelf.problems(files))
        return
    shelf.warn(shelf.problems(files))
    lines = [(f.name, f.card.category, f.text_from, f.card.text) for f in files.usable]
    columns(("LoRA", "category", "text from", "text"), lines)


@library.command("show")
def show_entry(
    name: Annotated[str, typer.Argument(help="Name of the LoRA, as 'library list' shows it.")],
    library: options.Library = None,
    json: options.Json = False,
) -> None:
    """Show one LoRA: its text, rank, alpha, and what it changes in the base model."""
    from lorafusion import formats
    from lorafusion.library.hashes import hashed
    from lorafusion.library.index import Index

    file = shelf.named(shelf.look(library), name)
    sha256 = hashed([file], Index())[file.location]
    described = shelf.describe(file, sha256) | _measured(formats.read(file.path, name=name))
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


def _measured(lora: LoRA) -> dict[str, Any]:
    """Family, ranks, alphas and targets: distinct values, and a count for each component."""
    deltas = lora.deltas.values()
    return {
        "family": lora.family,
        "rank": sorted({delta.rank for delta in deltas if delta.rank}),
        "alpha": sorted({round(delta.scale * delta.rank, 6) for delta in deltas if delta.rank}),
        "targets": {part: len(lora.part(part)) for part in lora.components},
        "metadata": dict(lora.metadata),
    }


def _written(value: object) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}: {item}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)
