"""``lorafusion export``: the LoRAs that a prompt asks for, fused into one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorafusion.cli import options, shelf, show
from lorafusion.errors import BadOption

if TYPE_CHECKING:
    from lorafusion.export import Fused
    from lorafusion.library import Library
    from lorafusion.plan import Plan, Route

Target = Annotated[
    Path,
    typer.Option(
        help="LoRA file to write, replaced if it is there; with --dense, a new folder.",
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


Dense = Annotated[
    bool,
    typer.Option(
        "--dense",
        help="Fold the LoRAs into the base model and write a whole checkpoint, a diffusers folder; "
        "holds every kind of adapter, DoRA and biases too.",
        rich_help_panel=options.OUTPUT,
    ),
]


def export(
    prompt: Annotated[
        str,
        typer.Argument(help="What the picture should show, in words; <lora:name:0.8> pins a LoRA."),
    ],
    out: Target,
    library: options.Library = None,
    router: options.Router = "phrases",
    encoder: options.Encoder = "minilm",
    budget: options.Budget = None,
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    threshold: options.Threshold = None,
    equalise: options.Equalise = None,
    pinned_only: options.PinnedOnly = False,
    method: options.Method = "fusion",
    option: options.Option = None,
    strength: options.Strength = 1.0,
    base: options.Base = None,
    dtype: options.Dtype = "auto",
    format: Format = "peft",  # noqa: A002  (the option's name)
    rank: Rank = None,
    energy: Energy = None,
    dense: Dense = False,
    json: options.Json = False,
) -> None:
    """Write the LoRAs that a prompt asks for, at their weights, as one LoRA file.

    With --dense: the base model with them folded in, as a whole checkpoint.
    """
    from lorafusion import export as exporting
    from lorafusion.cli import setup
    from lorafusion.cli.routed import Routing, routed
    from lorafusion.generate import Request
    from lorafusion.methods import asks_base
    from lorafusion.methods import plan as make_plan
    from lorafusion.pipelines import Insight

    out = out.expanduser()
    _check(out, dense, shaped=(format, rank, energy) != ("peft", None, None))
    request = Request(
        prompt, method=method, options=setup.parsed(method, option or []), strength=strength
    )
    given = setup.given(budget=budget, temperature=temperature, top_k=top_k, threshold=threshold)
    opened = setup.open_library(library, base)
    with show.busy("Asking which LoRAs fit the prompt"):
        pipe = setup.open_base(base, dtype, "cpu") if dense or encoder == "pipeline" else None
        opened = opened.fitting(_family(opened, base, pipe))
        model = setup.open_encoder(encoder, pipe)
        routing = Routing(router, encoder, given, True, setup.norm(equalise), pinned_only)
        route, dropped = routed(request, routing, opened, model, pipe if dense else None)
        asked = (
            Insight(pipe or setup.open_base(base, "auto", "auto")) if asks_base(method) else None
        )
        plan = make_plan(
            method, route, request.steps, strength=strength, base=asked, **request.options
        )
    left_out = shelf.problems(opened.listing, {**opened.foreign, **dropped})
    shape: dict[str, Any] = {"format": format, "rank": rank, "energy": energy}
    with show.busy("Fusing"):
        if dense:
            told = _checkpoint(pipe, plan, out, prompt)
        else:
            told = _file(out, exporting.export(plan, out, prompt=prompt, **shape))
    _tell(told, route, left_out, json)


def _check(out: Path, dense: bool, shaped: bool) -> None:
    """Refuse options that contradict each other before anything is loaded.

    Args:
        out: a file, or a folder with `dense`.
        dense: whether a checkpoint is asked for.
        shaped: whether something was said about how a LoRA file is written.

    Raises:
        BadOption: they do, or `out` has the wrong suffix.
        NotWritable: the folder is there already.
    """
    if not dense and out.suffix != ".safetensors":
        raise BadOption(f"--out is {str(out)!r}; a LoRA file ends in .safetensors")
    if not dense:
        return
    from lorafusion.pipelines.checkpoint import check_free

    if shaped:
        raise BadOption(
            "--format, --rank and --energy are for LoRA files; leave them or --dense out"
        )
    if out.suffix == ".safetensors":
        raise BadOption(f"--out is {str(out)!r}; --dense writes a folder, give one without suffix")
    check_free(out)


def _family(library: Library, base: str | None, pipe: Any) -> str:
    """What the LoRAs are to be for: the base model, or what most of the folder is for."""
    from lorafusion.cli import setup
    from lorafusion.library.listing import usual_family

    if base is None and pipe is None:
        return usual_family(library.listing.usable)
    return setup.base_family(base, pipe)


def _checkpoint(pipe: Any, plan: Plan, out: Path, prompt: str) -> dict[str, Any]:
    from lorafusion.pipelines.checkpoint import save_merged

    save_merged(pipe, plan, out, prompt=prompt)
    modules = len({target for lora in plan.loras for target in lora.deltas})
    return {"path": str(out), "modules": modules}


def _file(out: Path, made: Fused) -> dict[str, Any]:
    return {
        "path": str(out),
        "modules": len(made.lora.deltas),
        "ranks": list(made.ranks),
        "kept_energy": made.kept,
    }


def _tell(told: dict[str, Any], route: Route, left_out: shelf.Problems, json: bool) -> None:
    if json:
        show.document({**told, "weights": route.weights, **left_out})
        return
    shelf.warn(left_out)
    show.weights(route)
    how = "folded into a checkpoint"
    if "ranks" in told:
        low, high = told["ranks"]
        how = f"rank {low} to {high}, {told['kept_energy']:.2%} of the energy kept"
    show.line(f"{told['path']}: {told['modules']} modules, {how}")
