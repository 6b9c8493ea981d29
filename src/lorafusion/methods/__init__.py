"""Composition methods by name, and `plan`, the one way to call them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lorafusion.base import Base
from lorafusion.errors import BadOption, UnknownName
from lorafusion.lora import LoRA
from lorafusion.methods.card import Card
from lorafusion.methods.preference import opened, scaled
from lorafusion.plan import Candidate, Plan, Route
from lorafusion.registry import Registry, unknown

Method = Callable[..., Plan]
"""``method(chosen, loras, steps, **options) -> Plan``; `chosen` and `loras` run side by side."""

BASE = "base"
"""The keyword argument of methods that ask about the base model; not an option."""

READERS: Registry[Callable[[str], object]] = Registry(
    "reader", "lorafusion.readers", {"gates": "lorafusion.formats.gates:read_gates"}
)
"""Options that are read from a file: name -> what reads it. So methods are given what is in it, as they
are given LoRAs, and see no file."""

METHODS: Registry[Method] = Registry(
    "method",
    "lorafusion.methods",
    {
        "naive": "lorafusion.methods.naive:naive",
        "single": "lorafusion.methods.single:single",
        "merge": "lorafusion.methods.merge:merge",
        "nla": "lorafusion.methods.nla:nla",
        "fusion": "lorafusion.methods.fusion:fusion",
        "svd": "lorafusion.methods.svd:svd",
        "svdiff": "lorafusion.methods.svdiff:svdiff",
        "mole": "lorafusion.methods.mole:mole",
        "switch": "lorafusion.methods.switch:switch",
        "composite": "lorafusion.methods.composite:composite",
        "w-switch": "lorafusion.methods.w_switch:w_switch",
        "w-composite": "lorafusion.methods.w_composite:w_composite",
        "switch-a": "lorafusion.methods.switch_a:switch_a",
        "cmlora": "lorafusion.methods.cmlora:cmlora",
        "loratorio": "lorafusion.methods.loratorio:loratorio",
        "multlfg": "lorafusion.methods.multlfg:multlfg",
        "ssr": "lorafusion.methods.ssr:ssr",
        "ties": "lorafusion.methods.ties:ties",
        "dare": "lorafusion.methods.dare:dare",
        "prune": "lorafusion.methods.prune:prune",
        "knots": "lorafusion.methods.knots:knots",
        "k-lora": "lorafusion.methods.k_lora:k_lora",
        "np-lora": "lorafusion.methods.np_lora:np_lora",
        "auto": "lorafusion.methods.auto:auto",
    },
)


def plan(
    method: str,
    route: Route,
    steps: int = 30,
    *,
    strength: float = 1.0,
    base: Base | None = None,
    **options: object,
) -> Plan:
    """Turn a route into a plan.

    A method goes by weights, or not. What it gives a LoRA is multiplied by that LoRA's strengths, those
    of the denoiser and the text encoders apart, so that pins and preferred strengths act under all.

    Args:
        method: a name of `METHODS`.
        route: its chosen LoRAs are read from their files now.
        steps: the number S of denoising steps, at least 1.
        strength: multiplies all gates (arXiv:2402.16843 uses 0.8).
        base: answers the questions of methods that ask about the base model (`asks_base`).
        options: the method's own keyword arguments.

    Returns:
        Plan with gates [S, B, L], L being the number of chosen LoRAs.

    Raises:
        UnknownName: no such method, or no such option of the method.
        BadOption: an option out of its range, or a strength for a LoRA that cannot be rewritten.
        UnreadableFile, UnknownFormat: the file that an option names.
    """
    function = METHODS[method]
    known = options_of(method)
    for name in options:
        if name not in known:
            raise UnknownName(unknown(f"option of method {method!r}", name, [*known, "strength"]))
    if steps < 1:
        raise BadOption(f"steps is {steps}; it must be at least 1")
    if not math.isfinite(strength):
        raise BadOption(f"strength is {strength}; it must be a finite number")
    chosen = route.chosen
    loras = tuple(candidate.source.load() for candidate in chosen)
    asked = {BASE: base} if asks_base(method) else {}
    read = _read(options)
    card = card_of(method)
    if card is not None and card.rewrites:
        made = function(chosen, scaled(chosen, loras), steps, **asked, **read)
    else:
        made = opened(function(chosen, loras, steps, **asked, **read), chosen, loras)
    return replace(made.scaled(strength), method=_label(method, strength, options))


def options_of(method: str) -> dict[str, Any]:
    """The options of a method and their defaults, read off its signature."""
    parameters = inspect.signature(METHODS[method]).parameters.values()
    return {
        p.name: p.default
        for p in parameters
        if p.kind is inspect.Parameter.KEYWORD_ONLY and p.name != BASE
    }


def asks_base(method: str) -> bool:
    """Whether a method asks about the base model: it takes a keyword argument `base`."""
    return BASE in inspect.signature(METHODS[method]).parameters


def card_of(method: str) -> Card | None:
    """The `CARD` in the method's file; None where another package's has none."""
    card = getattr(inspect.getmodule(METHODS[method]), "CARD", None)
    return card if isinstance(card, Card) else None


def _read(options: dict[str, object]) -> dict[str, object]:
    """The options, with what is in its file for each that names one."""
    return {
        name: READERS[name](value) if name in READERS and isinstance(value, str) else value
        for name, value in options.items()
    }


def _label(method: str, strength: float, options: dict[str, object]) -> str:
    settings = dict(options) | ({"strength": strength} if strength != 1.0 else {})
    inside = ", ".join(f"{key}={value}" for key, value in settings.items())
    return f"{method}({inside})" if inside else method


__all__ = [
    "METHODS",
    "Candidate",
    "Card",
    "LoRA",
    "Method",
    "asks_base",
    "card_of",
    "options_of",
    "plan",
]
