"""Routers and encoders by name, and `route`, the one way to call them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lorafusion.errors import BadOption, UnknownName
from lorafusion.library import Catalogue, Encoder, Library
from lorafusion.plan import Route
from lorafusion.registry import Registry, unknown
from lorafusion.routing.phrases import with_phrases
from lorafusion.routing.pipeline_encoder import PipelineEncoder
from lorafusion.routing.sentence import sentence_encoder

Router = Callable[..., Route]
"""``router(prompt, entries, keys, encoder, **options) -> Route``; a row of keys for each entry."""

ROUTERS: Registry[Router] = Registry(
    "router",
    "lorafusion.routers",
    {
        "phrases": "lorafusion.routing.phrasewise:phrases",
        "cosine": "lorafusion.routing.cosine:cosine",
        "ablation": "lorafusion.routing.ablation:ablation",
        "paw": "lorafusion.routing.paw:paw",
        "ptw": "lorafusion.routing.ptw:ptw",
        "stylus": "lorafusion.routing.stylus:stylus",
        "triggers": "lorafusion.routing.triggers:triggers",
    },
)

DEFAULT = "phrases"
"""The router that is asked when none is named."""

ENCODERS: Registry[Callable[[], Encoder]] = Registry(
    "encoder", "lorafusion.encoders", {"minilm": "lorafusion.routing.sentence:minilm"}
)


def route(
    prompt: str,
    library: Library | Catalogue,
    *,
    router: str = DEFAULT,
    encoder: str | Path | Encoder = "minilm",
    phrases: bool = True,
    **options: object,
) -> Route:
    """Find out which LoRAs of a library a prompt asks for, and how strongly.

    Args:
        prompt: the text of the image.
        library: its key vectors are computed now where they are not stored. A `Catalogue` of
            descriptions will do.
        router: a name of `ROUTERS`.
        encoder: a name of `ENCODERS`, a sentence-transformers model by name or folder, or an object
            with `id` and `encode`, such as `PipelineEncoder`.
        phrases: whether to look for the words that asked for each LoRA; they never change a weight.
        options: the router's own keyword arguments.

    Returns:
        Route over all LoRAs of the library, the best first. It may have left out all of them.

    Raises:
        BadOption: the prompt is blank, or an option is out of its range.
        UnknownName: no such router, encoder or option of the router.
        UnreadableFile: a folder that holds no sentence-transformers model.
    """
    if not prompt.strip():
        raise BadOption("the prompt is empty; say in words what the image shows")
    function = ROUTERS[router]
    settings = options_of(router)
    for name in options:
        if name not in settings:
            raise UnknownName(unknown(f"option of router {router!r}", name, list(settings)))
    model = encoder_of(encoder)
    if not len(library):
        return Route(prompt, (), _label(router, settings | options))
    keys = library.keys(model)
    found = function(prompt, tuple(library), keys, model, **options)
    if phrases:
        found = with_phrases(found, dict(zip(library.names, keys, strict=True)), model)
    label = encoder if isinstance(encoder, str | Path) else model.id or type(model).__name__
    return replace(found, router=_label(router, {"encoder": label} | settings | options))


def options_of(router: str) -> dict[str, Any]:
    """The options of a router and their defaults, read off its signature."""
    parameters = inspect.signature(ROUTERS[router]).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def encoder_of(encoder: str | Path | Encoder) -> Encoder:
    """The encoder that a name, a folder or an object stands for.

    Raises:
        UnknownName: no encoder of this name, and no sentence-transformers model either.
        UnreadableFile: a folder that holds no sentence-transformers model.
    """
    if isinstance(encoder, str) and encoder in ENCODERS:
        return ENCODERS[encoder]()
    if isinstance(encoder, str | Path):
        return sentence_encoder(str(encoder), known=tuple(ENCODERS))
    return encoder


def _label(router: str, settings: dict[str, object]) -> str:
    given = {name: value for name, value in settings.items() if value is not None}
    return f"{router}({', '.join(f'{name}={value}' for name, value in given.items())})"


__all__ = [
    "ENCODERS",
    "ROUTERS",
    "Encoder",
    "PipelineEncoder",
    "Router",
    "encoder_of",
    "options_of",
    "route",
]
