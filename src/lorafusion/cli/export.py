"""``lorafusion export``: the LoRAs that a prompt asks for, fused into one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lorafusion.cli import options, show
from lorafusion.errors import BadOption

if TYPE_CHECKING:
    from lorafusion.export import Fused
    from lorafusion.plan import Route

Target = Annotated[
    Path,
    typer.Option(
        help="LoRA file to write, replaced if it is there.",
        metavar="FILE.safetensors",
        rich_help_panel=options.OUTPUT,
    ),
]
Format = Annotated[
    str,
    typer.Option(
        help="How the file spells its tensors: peft, which diffusers reads, or kohya, which the web "
        "interfaces read.",
        rich_help_panel=options.OUTPUT,
    ),
]
Rank = Annotated[
    int | None,
    typer.Option(
        help="Reduce each module to at most this rank; exact when left out.",
        show_default=False,
        rich_help_panel=options.OUTPUT,
    ),
]
Energy = Annotated[
    float | None,
    typer.Option(
        help="Reduce each module to the least rank that keeps this share of its energy, such as "
        "0.99; exact when left out.",
        show_default=False,
        rich_help_panel=options.OUTPUT,
    ),
]


def export(
    prompt: Annotated[str, typer.Argument(help="What the picture should show, in words.")],
    out: Target,
    library: options.Library = None,
    router: options.Router = "phrases",
    encoder: options.Encoder = "minilm",
    budget: options.Budget = None,
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    threshold: options.Threshold = None,
    method: options.Method = "fusion",
    option: options.Option = None,
    strength: options.Strength = 1.0,
    base: options.Base = None,
    format: Format = "peft",  # noqa: A002  (the option's name)
    rank: Rank = None,
    energy: Energy = None,
    json: options.Json = False,
) -> None:
    """Write the LoRAs that a prompt asks for, at their weights, as one LoRA file."""
    from lorafusion import export as exporting
    from lorafusion.cli import setup
    from lorafusion.generate import Request, require
    from lorafusion.methods import asks_base
    from lorafusion.methods import plan as make_plan
    from lorafusion.pipelines import Insight
    from lorafusion.routing import route as make_route

    out = out.expanduser()
    if out.suffix != ".safetensors":
        raise BadOption(f"--out is {str(out)!r}; a LoRA file ends in .safetensors")
    request = Request(
        prompt, method=method, options=setup.parsed(method, option or []), strength=strength
    )
    narrowed = setup.given(budget=budget, temperature=temperature, top_k=top_k, threshold=threshold)
    opened = setup.open_library(library, base)
    with show.busy("Asking which LoRAs fit the prompt"):
        setup.quiet()
        pipe = setup.open_base(base, "auto", "auto") if encoder == "pipeline" else None
        model = setup.open_encoder(encoder, pipe)
        route = make_route(prompt, opened, router=router, encoder=model, **narrowed)
        require(route)
    with show.busy("Fusing"):
        asked = None
        if asks_base(method):
            asked = Insight(pipe or setup.open_base(base, "auto", "auto"))
        plan = make_plan(
            method, route, request.steps, strength=strength, base=asked, **dict(request.options)
        )
        made = exporting.export(plan, out, format=format, rank=rank, energy=energy, prompt=prompt)
    _tell(out, made, json, route)


def _tell(out: Path, made: Fused, json: bool, route: Route) -> None:
    low, high = made.ranks
    if json:
        show.document(
            {
                "path": str(out),
                "modules": len(made.lora.deltas),
                "ranks": [low, high],
                "kept_energy": made.kept,
                "weights": route.weights,
            }
        )
        return
    show.weights(route)
    show.line(
        f"{out}: {len(made.lora.deltas)} modules, rank {low} to {high}, "
        f"{made.kept:.2%} of the energy kept"
    )
