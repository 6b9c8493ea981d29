"""The options of all commands: one place for their names, units and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lorafusion.pocket import GUIDANCE

ROUTING = "Which LoRAs"
MODEL = "Model and machine"
PICTURE = "Picture"
OUTPUT = "Output"


def _option(
    panel: str, text: str, *names: str, default: bool = True, value: str | None = None
) -> Any:
    """An option: `panel` of the help page, help text, spellings, whether the default is shown."""
    return typer.Option(
        *names, help=text, show_default=default, metavar=value, rich_help_panel=panel
    )


def _optional(panel: str, text: str, *names: str, value: str | None = None) -> Any:
    """An option whose absence means what its help text says."""
    return _option(panel, text, *names, default=False, value=value)


Library = Annotated[
    Path | None,
    _optional(
        ROUTING,
        "Folder of .safetensors LoRA files; the LoRAs that come with pocket when left out.",
        value="FOLDER",
    ),
]
Catalogue = Annotated[
    Path | None,
    _optional(
        ROUTING,
        "TOML file of [[lora]] tables with name, category, text and triggers, instead of a folder: "
        "routes against descriptions alone.",
        value="FILE.toml",
    ),
]
Prompts = Annotated[
    Path | None,
    _optional(
        ROUTING,
        "Text file with one prompt a line; with --json, one JSON object a line is printed.",
        value="FILE",
    ),
]
Router = Annotated[
    str,
    _option(
        ROUTING,
        "How LoRAs are chosen: phrases reads the prompt phrase by phrase; cosine compares it as a "
        "whole, as the paper does.",
    ),
]
Encoder = Annotated[
    str,
    _option(
        ROUTING,
        "What compares words with LoRAs: minilm, pipeline for the base model's own text encoder, "
        "or a sentence-transformers model by name or folder.",
    ),
]
Budget = Annotated[
    str | None,
    _optional(
        ROUTING,
        "Strength of several LoRAs together, with --router phrases: full, each acts fully; "
        "balanced; paper, they share the strength of one. full when left out.",
    ),
]
Temperature = Annotated[
    float | None,
    _optional(
        ROUTING,
        "With --router cosine, of the softmax over scores; below 1 the best LoRAs stand out more; "
        "1 when left out.",
    ),
]
TopK = Annotated[
    int | None,
    _optional(ROUTING, "Use at most this many LoRAs, the best ones; all when left out.", "--top-k"),
]
Threshold = Annotated[
    float | None,
    _optional(
        ROUTING,
        "Leave out LoRAs with a lower score than this; the router's own when left out. For cosine "
        "from -1 to 1, for phrases in deviations from ordinary text.",
    ),
]
PinnedOnly = Annotated[
    bool,
    _optional(
        ROUTING,
        "Use the LoRAs that the prompt pins with <lora:name:0.8> and no others.",
        "--pinned-only",
    ),
]
Triggers = Annotated[
    bool,
    _option(
        ROUTING,
        "Put trigger words of chosen LoRAs into the prompt where it lacks them.",
        "--triggers/--no-triggers",
    ),
]
RequireLora = Annotated[
    bool,
    _optional(
        ROUTING, "Refuse to make a picture when the prompt asks for no LoRA.", "--require-lora"
    ),
]

Base = Annotated[
    str | None,
    _optional(
        MODEL,
        "Base model: a hub id such as owner/model, a diffusers folder or a .safetensors "
        "checkpoint; the pocket model that comes along when left out.",
        value="MODEL",
    ),
]
Executor = Annotated[
    str,
    _option(
        MODEL,
        "How LoRAs act on the model: fold, inject, compiled (which pays for many pictures) or "
        "reference; auto is the cheaper of the first two.",
    ),
]
Dtype = Annotated[
    str,
    _option(
        MODEL,
        "Precision of the weights: float32, float16 or bfloat16; auto is float32 for pocket and on "
        "the CPU, float16 otherwise.",
    ),
]
Device = Annotated[
    str, _option(MODEL, "Where to run: cpu or cuda; auto is cuda where there is one.")
]

Method = Annotated[
    str, _option(PICTURE, "How the LoRAs are composed; 'lorafusion methods' lists the ways.")
]
Option = Annotated[
    list[str] | None,
    _optional(
        PICTURE,
        "An option of the method, such as period=5; may be given several times.",
        value="KEY=VALUE",
    ),
]
Strength = Annotated[
    float,
    _option(PICTURE, "Factor on how far all LoRAs are opened; 0 is the base model alone."),
]
Negative = Annotated[str, _optional(PICTURE, "What the picture should not show, in words.")]
Steps = Annotated[int, _option(PICTURE, "Denoising steps, at least 1.")]
Guidance = Annotated[
    float | None,
    _optional(
        PICTURE,
        "How closely to follow the prompt, 0 or more; when left out, the base model's own default, "
        f"which is {GUIDANCE:g} for pocket.",
    ),
]
Seed = Annotated[
    int,
    _option(PICTURE, "Number that decides the picture; the same seed gives the same pixels."),
]
Count = Annotated[int, _option(PICTURE, "How many pictures; the later ones take the next seeds.")]
Width = Annotated[
    int | None, _optional(PICTURE, "Pixels; the base model's own size when left out.")
]
Height = Annotated[
    int | None, _optional(PICTURE, "Pixels; the base model's own size when left out.")
]

Out = Annotated[
    Path | None,
    _optional(
        OUTPUT,
        "PNG to write, replaced if it is there; a new name made of prompt and seed when left out. "
        "With several pictures, the seed is added to each name.",
        value="FILE.png",
    ),
]
Zoom = Annotated[
    int,
    _option(OUTPUT, "Write each pixel as a square of this many pixels a side, for small pictures."),
]
Again = Annotated[
    Path | None,
    _optional(
        OUTPUT,
        "Make this picture again from the record inside it; no prompt is needed.",
        value="FILE.png",
    ),
]
Equalise = Annotated[
    str | None,
    _optional(
        ROUTING,
        "Make a weight mean the same for every LoRA: choose strengths at which each LoRA's change has "
        "this norm at weight 1. A number, or median for that of the chosen ones; when left out, "
        "LoRAs act at their preferred strengths, or as trained.",
        value="NORM",
    ),
]
Conflicts = Annotated[
    bool,
    _optional(
        OUTPUT,
        "Read the chosen LoRAs and compare them pair by pair: subspaces, strengths, triggers.",
        "--conflicts",
    ),
]
Html = Annotated[
    Path | None,
    _optional(
        OUTPUT,
        "Also write a small page with the phrases of the prompt marked, replaced if it is there.",
        value="FILE.html",
    ),
]
Json = Annotated[
    bool, _optional(OUTPUT, "Print one JSON document on stdout and nothing else.", "--json")
]
