"""``lorafusion library search``: find LoRAs by what they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lorafusion.cli import options, shelf, show
from lorafusion.cli.columns import columns
from lorafusion.errors import BadOption

if TYPE_CHECKING:
    from lorafusion.library.listing import Listed


def search(
    words: Annotated[str, typer.Argument(help="What you are looking for, in words.")],
    count: Annotated[int, typer.Option(help="Show at most this many, the best ones.")] = 10,
    library: options.Library = None,
    encoder: options.Encoder = "minilm",
    json: options.Json = False,
) -> None:
    """Find LoRAs by meaning; those that have the words in their name or triggers come first."""
    from lorafusion.routing.tags import require_text

    if not words.strip():
        raise BadOption("the words are empty; say what you are looking for")
    require_text("text that is looked for", words)
    if count < 1:
        raise BadOption(f"--count is {count}; give at least 1")
    files = shelf.look(library)
    found = _ranked(words, files.usable, encoder)[:count]
    if json:
        rows = [shelf.describe(file, None) | {"score": score} for file, score in found]
        show.document({"words": words, "loras": rows} | shelf.problems(files))
        return
    shelf.warn(shelf.problems(files))
    lines = [
        (f"{score:.3f}", file.name, file.card.category, file.card.text) for file, score in found
    ]
    columns(("score", "LoRA", "category", "text"), lines)


def _ranked(words: str, files: tuple[Listed, ...], encoder: str) -> list[tuple[Listed, float]]:
    """Files with the cosine between the words and their text, best first."""
    from lorafusion.cli import setup
    from lorafusion.library.keys import encode_alone, key_vectors
    from lorafusion.library.store import KeyStore

    if encoder == "pipeline":
        raise BadOption("--encoder pipeline needs a base model; give minilm or another encoder")
    if not files:
        return []
    with show.busy("Comparing the words with the LoRAs"):
        opened = setup.open_encoder(encoder, None)
        keys = key_vectors([file.card.text for file in files], opened, KeyStore())
        scores = (keys @ encode_alone(words, opened)).tolist()
    pairs = list(zip(files, scores, strict=True))
    return sorted(pairs, key=lambda pair: (not _named(words, pair[0]), -pair[1], pair[0].name))


def _named(words: str, file: Listed) -> bool:
    """Whether the words stand in the name or are a trigger."""
    wanted = words.strip().casefold()
    triggers = (trigger.casefold() for trigger in file.card.triggers)
    return wanted in file.name.casefold() or wanted in triggers
