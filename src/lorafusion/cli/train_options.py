"""The options of ``lorafusion train``: one place for their names and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lorafusion.cli import options

CONCEPT = "Pictures and words"
TRAINING = "Training"


def _option(panel: str, text: str, *names: str, value: str | None = None) -> Any:
    """An option whose absence means what its help text says."""
    return typer.Option(*names, help=text, show_default=False, metavar=value, rich_help_panel=panel)


def _shown(panel: str, text: str) -> Any:
    return typer.Option(help=text, rich_help_panel=panel)


Images = Annotated[
    Path,
    typer.Argument(
        help="Folder of images of the concept. What dog.png shows is written in dog.txt beside it.",
        metavar="FOLDER",
    ),
]
Out = Annotated[
    Path,
    _option(
        options.OUTPUT,
        "LoRA file to write, replaced if it is there.",
        value="FILE.safetensors",
    ),
]
Prompt = Annotated[
    str,
    _option(
        CONCEPT, "Caption of the images that have none beside them, such as 'a photo of sks dog'."
    ),
]
Description = Annotated[
    str,
    _option(
        CONCEPT,
        "What the LoRA shows, in one line: prompts are compared with it. --prompt when left out.",
    ),
]
Trigger = Annotated[
    str, _option(CONCEPT, "The words by which the captions call the concept, such as 'sks dog'.")
]
Category = Annotated[str, _option(CONCEPT, "character, clothing, object, background or style.")]
ClassPrompt = Annotated[
    list[str] | None,
    _option(
        CONCEPT,
        "What the concept is one of, such as 'a dog': the base makes images of it and they are learned too, so that "
        "it is not forgotten; may be given several times.",
    ),
]
ClassImages = Annotated[int, _shown(CONCEPT, "How many images of the class, made once.")]
PriorWeight = Annotated[
    float | None, _option(TRAINING, "Weight of the images of the class; 1 when left out.")
]
Steps = Annotated[
    int | None, _option(TRAINING, "Optimiser steps; 1000 when left out, 500 for pocket.")
]
Batch = Annotated[
    int | None, _option(TRAINING, "Images in one forward; 1 when left out, 8 for pocket.")
]
Accumulate = Annotated[
    int | None, _option(TRAINING, "Forwards in one step, for larger batches in the same memory.")
]
Rate = Annotated[
    float | None, _option(TRAINING, "Learning rate; 0.0001 when left out, 0.005 for pocket.")
]
TextRate = Annotated[
    float | None,
    _option(
        TRAINING,
        "Learning rate of the text encoders, 0 to leave them alone; 0 when left out, 0.001 for pocket.",
    ),
]
ShiftRate = Annotated[
    float | None, _option(TRAINING, "Learning rate; 0.001 when left out, 0.06 for pocket.")
]
ShiftTextRate = Annotated[
    float | None,
    _option(
        TRAINING,
        "Learning rate of the text encoders, 0 to leave them alone; 0 when left out, 0.02 for pocket.",
    ),
]
Rank = Annotated[int | None, _option(TRAINING, "Rank; 16 when left out, 8 for pocket.")]
Most = Annotated[
    int | None,
    _option(
        TRAINING,
        "Write only so many of the largest shifts of each layer, for a smaller file; all when left out.",
    ),
]
Alpha = Annotated[float | None, _option(TRAINING, "Alpha; the rank when left out.")]
Targets = Annotated[
    str | None,
    _option(
        TRAINING,
        "Which layers: attention, linear, or all, with convolutions. linear when left out, all for pocket.",
    ),
]
Size = Annotated[
    int | None, _option(TRAINING, "Pixels a side; the base model's own size when left out.")
]
Snr = Annotated[
    float | None,
    _option(TRAINING, "Gamma of min-SNR weighting of noise levels, 0 for none; 5 when left out."),
]
Precision = Annotated[
    str,
    _shown(
        TRAINING,
        "float32, or bfloat16, which is faster on newer machines and takes half the memory.",
    ),
]
LessMemory = Annotated[
    bool, _option(TRAINING, "Take less memory and a third more time.", "--less-memory")
]
Seed = Annotated[int, _shown(TRAINING, "The same seed gives the same LoRA.")]
SaveEvery = Annotated[
    int | None,
    _option(TRAINING, "Steps from one checkpoint to the next; 100 when left out, 50 for pocket."),
]
Sample = Annotated[
    list[str] | None,
    _option(
        options.OUTPUT,
        "A prompt whose picture is made at each checkpoint, into the work folder; may be given several times.",
    ),
]
Work = Annotated[
    Path | None,
    _option(
        options.OUTPUT,
        "Folder of the checkpoint and samples; FILE.training when left out. A stopped training goes on from it.",
        value="FOLDER",
    ),
]
Restart = Annotated[
    bool, _option(options.OUTPUT, "Begin anew, whatever the work folder holds.", "--restart")
]
Format = Annotated[str, _shown(options.OUTPUT, "How the file spells its tensors: kohya or peft.")]
