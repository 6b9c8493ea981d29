"""Routers and encoders by name, and `route`, the one way to call them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lorafusion.errors import BadOption, UnknownName
from lorafusion.lazy import imported
from lorafusion.library import Catalogue, Encoder, Library
from lorafusion.plan import Route
from lorafusion.registry import Registry, unknown
from lorafusion.routing.added import with_triggers
from lorafusion.routing.phrases import with_phrases
from lorafusion.routing.pins import alone, pinned, read_pins
from lorafusion.routing.sentence import sentence_encoder
from lorafusion.routing.tags import require_text

if TYPE_CHECKING:
    from lorafusion.routing.pipeline_encoder import PipelineEncoder as PipelineEncoder

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

KEYLESS = frozenset({"phrases", "paw", "ptw", "triggers"})
"""Routers that make vectors of their own, or none: for them no keys are made or read, and they are given none."""
_NO_KEYS = np.zeros((0, 0), np.float32)

ENCODERS: Registry[Callable[[], Encoder]] = Registry(
    "encoder", "lorafusion.encoders", {"minilm": "lorafusion.routing.sentence:minilm"}
)


__getattr__ = imported(__name__, {"PipelineEncoder": "pipeline_encoder"})
"""The one public name here that imports torch comes when it is first used."""


def route(
    prompt: str,
    library: Library | Catalogue,
    *,
    router: str = DEFAULT,
    encoder: str | Path | Encoder = "minilm",
    phrases: bool = True,
    triggers: bool = True,
    pinned_only: bool = False,
    **options: object,
) -> Route:
    """Find out which LoRAs of a library a prompt asks for, and how strongly.

    Args:
        prompt: the text of the image. ``<lora:name:0.8>`` in it pins a LoRA: that one acts at this
            strength whatever the router says, and the tag is taken out of the text.
        library: its key vectors are computed now where they are not stored. A `Catalogue` of
            descriptions will do.
        router: a name of `ROUTERS`.
        encoder: a name of `ENCODERS`, a sentence-transformers model by name or folder, or an object
            with `id` and `encode`, such as `PipelineEncoder`.
        phrases: whether to look for the words that asked for each LoRA; they never change a weight.
        triggers: whether to put trigger words of chosen LoRAs into the prompt where it lacks them.
        pinned_only: choose what the prompt pins and nothing else; no router is asked.
        options: the router's own keyword arguments.

    Returns:
        Route over all LoRAs of the library, the best first. It may have left out all of them.

    Raises:
        BadOption: the prompt is blank but for tags or no text, a tag is malformed, or an option is
            out of its range.
        UnknownName: no such router, encoder, option of the router or pinned LoRA.
        UnreadableFile: a folder that holds no sentence-transformers model, or a pinned file is broken.
        WrongBase: a pinned LoRA was left out, being for another base model.
    """
    text, pins = read_pins(prompt, library)
    if not text.strip():
        raise BadOption("the prompt is empty; say in words what the image shows")
    function = ROUTERS[router]
    settings = options_of(router)
    for name, value in options.items():
        if name not in settings:
            raise UnknownName(unknown(f"option of router {router!r}", name, list(settings)))
        if isinstance(value, str):
            require_text("negative prompt" if name == "negative" else name, value)
    model = encoder_of(encoder)
    if not len(library):
        return Route(text, (), _label(router, settings | options))
    if pinned_only:
        found = alone(text, tuple(library), pins)
    else:
        keys = _NO_KEYS if router in KEYLESS else library.keys(model)
        found = function(text, tuple(library), keys, model, **options)
        if phrases and not all(one.phrase for one in found.chosen):
            keys = library.keys(model) if router in KEYLESS else keys
            chosen = found.weights
            rows = {
                name: row for name, row in zip(library.names, keys, strict=True) if name in chosen
            }
            found = with_phrases(found, rows, model)
        label = encoder if isinstance(encoder, str | Path) else model.id or type(model).__name__
        found = replace(found, router=_label(router, {"encoder": label} | settings | options))
        found = pinned(found, pins)
    return with_triggers(found) if triggers else found


def options_of(router: str) -> dict[str, Any]:
    """The options of a router and their defaults, read off its signature."""
    return dict(_defaults(ROUTERS[router]))


@lru_cache(maxsize=64)
def _defaults(router: Router) -> tuple[tuple[str, Any], ...]:
    parameters = inspect.signature(router).parameters.values()
    return tuple(
        (p.name, p.default) for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY
    )


def narrowed(router: str, negative_prompt: str, **options: object) -> dict[str, Any]:
    """The options of a router that were given; with the negative prompt, where it reads one.

    Raises:
        UnknownName: no such router.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if negative_prompt.strip() and "negative" in options_of(router):
        given["negative"] = negative_prompt
    return given


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
    "narrowed",
    "options_of",
    "route",
]
