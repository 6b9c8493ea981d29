"""``lorafusion generate``: make a picture, or make one again from its own record."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Annotated

import typer

from lorafusion.cli import options
from lorafusion.errors import BadOption

BESIDE_AGAIN = {"again", "library", "base", "dtype", "device", "out", "zoom", "json"}
"""What may be given together with --again; all else is in the record."""


def generate(
    prompt: Annotated[
        str,
        typer.Argument(
            help="What the picture should show, in words; <lora:name:0.8> pins a LoRA. Not needed "
            "with --again.",
            show_default=False,
        ),
    ] = "",
    library: options.Library = None,
    router: options.Router = "phrases",
    encoder: options.Encoder = "minilm",
    budget: options.Budget = None,
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    threshold: options.Threshold = None,
    equalise: options.Equalise = None,
    pinned_only: options.PinnedOnly = False,
    triggers: options.Triggers = True,
    require_lora: options.RequireLora = False,
    method: options.Method = "fusion",
    option: options.Option = None,
    strength: options.Strength = 1.0,
    negative: options.Negative = "",
    steps: options.Steps = 30,
    guidance: options.Guidance = None,
    seed: options.Seed = 0,
    count: options.Count = 1,
    width: options.Width = None,
    height: options.Height = None,
    base: options.Base = None,
    executor: options.Executor = "auto",
    dtype: options.Dtype = "auto",
    device: options.Device = "auto",
    out: options.Out = None,
    zoom: options.Zoom = 1,
    again: options.Again = None,
    json: options.Json = False,
) -> None:
    """Make a picture with the LoRAs that the prompt asks for, or make one again.

    Without --library and --base, the small pocket model and its own LoRAs are used.
    """
    if again is not None:
        _check_beside_again(locals())
    from lorafusion.cli import make, setup
    from lorafusion.cli.routed import Routing
    from lorafusion.generate import Request

    if zoom < 1:
        raise BadOption(f"--zoom is {zoom}; it must be at least 1")
    place = make.Place(base, dtype, device, library, out, zoom, json)
    if again is not None:
        make.repeat(again, place)
        return
    if count < 1:
        raise BadOption(f"--count is {count}; it must be at least 1")
    request = Request(
        prompt=prompt,
        seeds=tuple(range(seed, seed + count)),
        steps=steps,
        negative_prompt=negative,
        guidance_scale=setup.guidance(base) if guidance is None else guidance,
        width=width,
        height=height,
        method=method,
        options=setup.parsed(method, option or []),
        strength=strength,
    )
    narrowed = setup.given(budget=budget, temperature=temperature, top_k=top_k, threshold=threshold)
    routing = Routing(
        router, encoder, narrowed, require_lora, setup.norm(equalise), pinned_only, triggers
    )
    make.new(request, routing, executor, place)


def _check_beside_again(values: Mapping[str, object]) -> None:
    """Refuse what the record decides.

    Args:
        values: of all options, by name; those that differ from their defaults were given.

    Raises:
        BadOption: one of them was given.
    """
    for name, parameter in inspect.signature(generate).parameters.items():
        if name not in BESIDE_AGAIN and values[name] != parameter.default:
            shown = "a prompt" if name == "prompt" else "--" + name.replace("_", "-")
            raise BadOption(
                f"{shown} was given together with --again, which repeats what was recorded; "
                "leave one of them out"
            )
