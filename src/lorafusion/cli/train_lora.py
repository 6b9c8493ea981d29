"""``lorafusion train lora``: a LoRA from a folder of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorafusion.cli import options, show
from lorafusion.errors import BadOption, NotWritable, UnknownName
from lorafusion.registry import unknown

if TYPE_CHECKING:
    from lorafusion.training import Trained

CONCEPT = "Pictures and words"
TRAINING = "Training"
WRITTEN = ("kohya", "peft")


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
    int | None, _option(TRAINING, "Optimiser steps; 1000 when left out, 400 for pocket.")
]
Batch = Annotated[
    int | None, _option(TRAINING, "Images in one forward; 1 when left out, 8 for pocket.")
]
Accumulate = Annotated[
    int | None, _option(TRAINING, "Forwards in one step, for larger batches in the same memory.")
]
Rate = Annotated[
    float | None, _option(TRAINING, "Learning rate; 0.0001 when left out, 0.002 for pocket.")
]
TextRate = Annotated[
    float | None,
    _option(
        TRAINING,
        "Learning rate of the text encoders, 0 to leave them alone; 0 when left out, 0.0005 for pocket.",
    ),
]
Rank = Annotated[int | None, _option(TRAINING, "Rank; 16 when left out, 8 for pocket.")]
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


def lora(
    images: Images,
    out: Out,
    prompt: Prompt = "",
    description: Description = "",
    trigger: Trigger = "",
    category: Category = "",
    class_prompt: ClassPrompt = None,
    class_images: ClassImages = 100,
    prior_weight: PriorWeight = None,
    steps: Steps = None,
    batch: Batch = None,
    accumulate: Accumulate = None,
    rate: Rate = None,
    text_rate: TextRate = None,
    rank: Rank = None,
    alpha: Alpha = None,
    targets: Targets = None,
    size: Size = None,
    snr: Snr = None,
    precision: Precision = "float32",
    less_memory: LessMemory = False,
    seed: Seed = 0,
    save_every: SaveEvery = None,
    base: options.Base = None,
    device: options.Device = "auto",
    sample: Sample = None,
    work: Work = None,
    restart: Restart = False,
    format: Format = "kohya",  # noqa: A002  (the option's name)
    json: options.Json = False,
) -> None:
    """Train a LoRA on a folder of images; the file can be used, and is found by prompts, at once.

    Stopped half-way, the same command goes on where it was, to the same weights.
    """
    from lorafusion import formats, training
    from lorafusion.cli import setup

    out = out.expanduser()
    _check_out(out, format, class_images)
    given = setup.given(
        prior_weight=prior_weight, steps=steps, batch=batch, accumulate=accumulate, rate=rate,
        text_rate=text_rate, rank=rank, alpha=alpha, targets=targets, size=size, snr=snr,
        save_every=save_every,
    )  # fmt: skip
    usual = training.POCKET if base in (None, setup.POCKET) else training.Recipe()
    recipe = training.changed(
        usual, precision=precision, less_memory=less_memory, seed=seed, **given
    )
    about = training.About(out.stem, description, trigger, category, prompt, base or setup.POCKET)
    shown = training.read_examples(images.expanduser(), prompt)
    folder = out.with_suffix(".training") if work is None else work.expanduser()
    with show.busy("Opening the base model"):
        setup.quiet()
        pipe = setup.open_base(base, recipe.precision, device)
    brush = training.Brush(guidance=setup.guidance(base), size=recipe.size)
    samples = training.Samples(tuple(sample or ()), folder / "samples", recipe.save_every, brush)
    with _progress("images of the class") as on_picture:
        prior = training.prior(pipe, class_prompt or [], class_images, brush, on_picture)
    with _progress("steps") as on_step:
        made = training.train_lora(
            pipe, shown, recipe, about, folder,
            prior=prior, samples=samples, on_step=on_step, restart=restart,
        )  # fmt: skip
    formats.write(made.lora, out, format)
    training.forget(folder)
    _tell(out, made, json)


def _check_out(out: Path, form: str, class_images: int) -> None:
    """Find out before hours of work that the file could not be written.

    Raises:
        BadOption: not a .safetensors file, or fewer than one image of the class.
        UnknownName: a format that is not written.
        NotWritable: the folder is missing or refuses.
    """
    import tempfile

    if out.suffix != ".safetensors":
        raise BadOption(f"--out is {str(out)!r}; a LoRA file ends in .safetensors")
    if class_images < 1:
        raise BadOption(f"--class-images is {class_images}; it must be at least 1")
    if form not in WRITTEN:
        raise UnknownName(unknown("format", form, list(WRITTEN)))
    try:
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise NotWritable(
            f"{out}: cannot be written ({error.strerror}); choose a folder that exists and is yours"
        ) from None


@contextmanager
def _progress(title: str) -> Iterator[Callable[..., None]]:
    """A bar with the time left on stderr, where that is a terminal: ``told(done, all[, loss])``."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    out = show.console(error=True)
    parts = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
             TextColumn("{task.fields[loss]}"))  # fmt: skip
    with Progress(*parts, console=out, transient=True, disable=not out.is_terminal) as drawn:
        task = drawn.add_task(title, visible=False, loss="")

        def told(done: int, most: int, loss: float | None = None) -> None:
            said = "" if loss is None else f"loss {loss:.4f}"
            drawn.update(task, completed=done, total=most, visible=True, loss=said)

        yield told


def _tell(out: Path, made: Trained, json: bool) -> None:
    curve = made.curve
    if json:
        show.document(
            {
                "path": str(out),
                "family": made.lora.family,
                "modules": len(made.lora.deltas),
                "resumed_at": made.resumed_at,
                "curve": [vars(entry) for entry in curve],
            }
        )
        return
    begun = f" (resumed after step {made.resumed_at})" if made.resumed_at else ""
    show.line(
        f"{out}: {len(made.lora.deltas)} modules, loss {curve[0].loss:.4f} to {curve[-1].loss:.4f} in "
        f"{curve[-1].step} steps and {curve[-1].seconds:.0f} s{begun}"
    )
