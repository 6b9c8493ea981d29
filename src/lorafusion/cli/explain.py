"""``lorafusion explain``: which LoRAs a prompt asks for, without making an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorafusion.cli import conflict_table, options, shelf, show
from lorafusion.errors import BadOption, UnreadableFile

if TYPE_CHECKING:
    from lorafusion.generate.equalise import Norm
    from lorafusion.library import Catalogue
    from lorafusion.plan import Route

MANY = 100
"""Prompts from which importing torch takes less time than it saves."""


def explain(
    prompt: Annotated[
        str,
        typer.Argument(
            help="What the picture should show, in words; <lora:name:0.8> pins a LoRA. Not needed "
            "with --prompts.",
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
    equalise: options.Equalise = None,
    pinned_only: options.PinnedOnly = False,
    triggers: options.Triggers = True,
    conflicts: options.Conflicts = False,
    html: options.Html = None,
    json: options.Json = False,
) -> None:
    """Show which LoRAs a prompt asks for, how strongly, why, and why the others were left out.

    With --conflicts: how far those that it asks for want the same weights, in which directions.
    """
    from lorafusion.cli import setup
    from lorafusion.library import Library as LoRAs
    from lorafusion.routing import narrowed
    from lorafusion.routing import route as make_route
    from lorafusion.routing.added import with_triggers
    from lorafusion.routing.arithmetic import spare_torch

    wish = Wish(html, json, conflicts, setup.norm(equalise), triggers)
    _check(prompt, prompts, wish, library, catalogue)
    lines = _lines(prompts) if prompts is not None else []
    if len(lines) < MANY:
        spare_torch()
    opened: Catalogue | LoRAs = (
        setup.open_catalogue(catalogue) if catalogue else setup.open_library(library, base)
    )
    given = narrowed(
        router, negative, budget=budget, temperature=temperature, top_k=top_k, threshold=threshold
    )
    with show.busy("Asking which LoRAs fit the prompt"):
        # The base model is needed only where its own text encoder is to compare.
        pipe = setup.open_base(base, "auto", "auto") if encoder == "pipeline" else None
        model = setup.open_encoder(encoder, pipe)
        left_out: shelf.Problems = {}
        if isinstance(opened, LoRAs):
            if base is not None:
                opened = opened.fitting(setup.base_family(base, pipe))
            left_out = shelf.problems(opened.listing, opened.foreign)
        given |= {"pinned_only": pinned_only, "triggers": False}
        again = partial(make_route, library=opened, router=router, encoder=model, **given)
    if prompts is not None or not json:
        shelf.warn(left_out)
    if prompts is not None:
        for line in lines:
            found = again(prompt=line)
            show.json_line(show.short_document(with_triggers(found) if triggers else found))
        return
    _tell(again, prompt, wish, left_out)


@dataclass(frozen=True)
class Wish:
    """What is to be told of a route, as the options say."""

    html: Path | None
    json: bool
    conflicts: bool
    equalise: Norm | None
    triggers: bool


def _tell(again: Callable[..., Route], prompt: str, wish: Wish, left_out: shelf.Problems) -> None:
    from lorafusion.routing.added import with_triggers
    from lorafusion.routing.effects import effects

    with show.busy("Asking which LoRAs fit the prompt"):
        route = again(prompt=prompt)
        found = effects(route, lambda rest: again(prompt=rest, phrases=False))
    route, compared = _read(route, wish)
    if wish.triggers:
        route = with_triggers(route)
    if wish.html is not None:
        from lorafusion.cli import page, setup

        setup.write_text(wish.html.expanduser(), page.page(route, found))
    if wish.json:
        told: list[Any] = [{"phrase": one.phrase, "changes": one.changes} for one in found]
        show.document({**show.route_document(route), "effects": told, **compared, **left_out})
        return
    show.weights(route)
    show.added(route)
    show.effects(found)
    show.left_out(route)
    if wish.conflicts:
        conflict_table.tell(compared)
    if wish.html is not None:
        show.line(str(wish.html))


def _read(route: Route, wish: Wish) -> tuple[Route, dict[str, Any]]:
    """What can be told only when the chosen LoRAs are read: equal strengths, and conflicts."""
    if not wish.conflicts and wish.equalise is None:
        return route, {}
    from lorafusion.generate.equalise import equalised
    from lorafusion.generate.settle import settled

    with show.busy("Reading the LoRAs"):
        route, _ = settled(route, insist=[one.name for one in route.chosen if one.pinned])
        if wish.equalise is not None:
            route = equalised(route, wish.equalise)
        loras = [one.source.load() for one in route.chosen] if wish.conflicts else []
        return route, conflict_table.compared(loras) if wish.conflicts else {}


def _check(
    prompt: str, prompts: Path | None, wish: Wish, library: Path | None, catalogue: Path | None
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
    reads = "--conflicts" if wish.conflicts else "--equalise" if wish.equalise is not None else ""
    if reads and (catalogue is not None or prompts is not None):
        other = "--catalogue has no files" if catalogue is not None else "--prompts reads none"
        raise BadOption(f"{reads} reads the chosen LoRAs, and {other}; leave one of them out")
    if prompts is not None and wish.html is not None:
        raise BadOption("--html shows one prompt; leave it or --prompts out")
    if prompts is not None and not wish.json:
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
