"""From a prompt and the options to a route of LoRAs that can be used: for generate and export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lorafusion.generate import Request, require
from lorafusion.generate.equalise import Norm, equalised
from lorafusion.generate.settle import settled
from lorafusion.library import Encoder, Library
from lorafusion.plan import Route
from lorafusion.routing import narrowed
from lorafusion.routing import route as make_route
from lorafusion.routing.added import with_triggers


@dataclass(frozen=True)
class Routing:
    """How LoRAs are to be chosen, as the options say."""

    router: str
    encoder: str
    options: Mapping[str, Any]
    require_lora: bool
    equalise: Norm | None = None
    pinned_only: bool = False
    triggers: bool = False


def routed(
    request: Request, routing: Routing, library: Library, model: Encoder, pipe: Any = None
) -> tuple[Route, dict[str, str]]:
    """The route, its chosen LoRAs read; and name -> reason of those that turned out not to do.

    Args:
        request: its prompts are read.
        routing: the options.
        library: what there is to choose from.
        model: the encoder that `routing` names.
        pipe: what LoRAs are to fit; None to leave that open.

    Raises:
        LorafusionError: as `route`, `settled`, `require` and `equalised`.
    """
    chosen_by = narrowed(routing.router, request.negative_prompt, **routing.options)
    route = make_route(
        request.prompt,
        library,
        router=routing.router,
        encoder=model,
        pinned_only=routing.pinned_only,
        triggers=False,  # some may be left out yet
        **chosen_by,
    )
    if routing.require_lora:
        require(route)
    insist = [one.name for one in route.chosen if one.pinned]
    route, dropped = settled(route, pipe, insist=insist)
    if routing.equalise is not None:
        route = equalised(route, routing.equalise, pipe)
    return with_triggers(route) if routing.triggers else route, dropped
