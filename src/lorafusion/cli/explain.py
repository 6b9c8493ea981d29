"""``lorafusion explain``: which LoRAs a prompt asks for, without making an image."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorafusion.cli import options, show
from lorafusion.errors import BadOption, UnreadableFile

if TYPE_CHECKING:
    from lorafusion.plan import Route


def explain(
    prompt: Annotated[
        str,
        typer.Argument(
            help="What the picture should show, in words. Not needed with --prompts.",
            show_default=False,
        ),
    ] = "",
    library: options.Library = None,
    catalogue: options.Catalogue = None,
    prompts: options.Prompts = None,
    router: options.Router = "phrases",
    encoder: options.Encoder = "minilm",
    budget: options.Budget = None,
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    threshold: options.Threshold = None,
    negative: options.Negative = "",
    base: options.Base = None,
    html: options.Html = None,
    json: options.Json = False,
) -> None:
    """Show which LoRAs a prompt asks for, how strongly, why, and why the others were left out."""
    from lorafusion.cli import setup
    from lorafusion.generate import narrowed
    from lorafusion.routing import route as make_route

    _check(prompt, prompts, html, json, library, catalogue)
    lines = _lines(prompts) if prompts is not None else []
    opened = setup.open_catalogue(catalogue) if catalogue else setup.open_library(library, base)
    given = narrowed(
        router, negative, budget=budget, temperature=temperature, top_k=top_k, threshold=threshold
    )
    with show.busy("Asking which LoRAs fit the prompt"):
        setup.quiet()
        # The base model is needed only where its own text encoder is to compare.
        pipe = setup.open_base(base, "auto", "auto") if encoder == "pipeline" else None
        model = setup.open_encoder(encoder, pipe)
        again = partial(make_route, library=opened, router=router, encoder=model, **given)
    if prompts is not None:
        for line in lines:
            show.json_line(show.short_document(again(prompt=line)))
        return
    _tell(again, prompt, html, json)


def _tell(again: Callable[..., Route], prompt: str, html: Path | None, json: bool) -> None:
    from lorafusion.routing.effects import effects

    with show.busy("Asking which LoRAs fit the prompt"):
        route = again(prompt=prompt)
        found = effects(route, lambda rest: again(prompt=rest, phrases=False))
    if html is not None:
        from lorafusion.cli import page, setup

        setup.write_text(html.expanduser(), page.page(route, found))
    if json:
        told: list[Any] = [{"phrase": one.phrase, "changes": one.changes} for one in found]
        show.document({**show.route_document(route), "effects": told})
        return
    show.weights(route, left_out=True)
    show.effects(found)
    if html is not None:
        show.line(str(html))


def _check(
    prompt: str,
    prompts: Path | None,
    html: Path | None,
    json: bool,
    library: Path | None,
    catalogue: Path | None,
) -> None:
    """Refuse options that contradict each other.

    Raises:
        BadOption: two of them do.
    """
    if library is not None and catalogue is not None:
        raise BadOption("--library and --catalogue were both given; leave one of them out")
    if prompts is None and not prompt.strip():
        raise BadOption("the prompt is empty; say in words what the image shows, or give --prompts")
    if prompts is not None and prompt:
        raise BadOption("a prompt was given together with --prompts; leave one of them out")
    if prompts is not None and html is not None:
        raise BadOption("--html shows one prompt; leave it or --prompts out")
    if prompts is not None and not json:
        raise BadOption("--prompts prints one JSON object a line; add --json")


def _lines(path: Path) -> list[str]:
    """The prompts of a file, one a line; blank lines are passed over."""
    try:
        text = path.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"{path}: cannot be read as UTF-8 text ({error})") from error
    found = [line.strip() for line in text.splitlines() if line.strip()]
    if not found:
        raise UnreadableFile(f"{path}: holds no prompt; write one a line")
    return found
