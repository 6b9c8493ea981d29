"""What the commands of ``lorafusion train`` do: read, open, train with a bar and the time left, write, tell."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from lorafusion import formats, training
from lorafusion.cli import setup, show
from lorafusion.errors import BadOption, NotWritable, UnknownName
from lorafusion.registry import unknown
from lorafusion.training import About, Recipe, Trained

WRITTEN = ("kohya", "peft")
USUAL = {
    "lora": (training.POCKET, training.Recipe()),
    "spectral": (training.POCKET_SPECTRAL, training.SPECTRAL),
}
"""What is trained -> the recipe for pocket, and the one for any other base."""


@dataclass(frozen=True)
class Task:
    """What to train on and where to put it, as the options say."""

    images: Path
    out: Path
    about: About
    classes: Sequence[str]
    class_images: int
    samples: Sequence[str]
    base: str | None
    device: str
    work: Path | None
    restart: bool
    form: str
    json: bool


def learn(kind: str, said: Mapping[str, Any]) -> None:
    """Train on a folder of pictures and write the file.

    Args:
        kind: a name of `training.KINDS`.
        said: the command's options by name; a number that is None is the usual one.

    Raises:
        LorafusionError: as `training.train`, or a path or format that cannot be written.
    """
    numbers = {field.name: said[field.name] for field in fields(Recipe) if field.name in said}
    pocket, usual = USUAL[kind]
    begun = pocket if said["base"] in (None, setup.POCKET) else usual
    _carry_out(kind, training.changed(begun, **setup.given(**numbers)), _task(said))


def _task(said: Mapping[str, Any]) -> Task:
    out = said["out"].expanduser()
    words = {name: said[name] for name in ("description", "trigger", "category", "prompt")}
    return Task(
        images=said["images"].expanduser(),
        out=out,
        about=training.About(out.stem, base=said["base"] or setup.POCKET, **words),
        classes=said["class_prompt"] or [],
        class_images=said["class_images"],
        samples=said["sample"] or [],
        base=said["base"],
        device=said["device"],
        work=said["work"],
        restart=said["restart"],
        form=said["format"],
        json=said["json"],
    )


def _carry_out(kind: str, recipe: Recipe, task: Task) -> None:
    out = task.out
    _check(task)
    shown = training.read_examples(task.images, task.about.prompt)
    folder = out.with_suffix(".training") if task.work is None else task.work.expanduser()
    with show.busy("Opening the base model"):
        setup.quiet()
        pipe = setup.open_base(task.base, recipe.precision, task.device)
    brush = training.Brush(guidance=setup.guidance(task.base), size=recipe.size)
    samples = training.Samples(task.samples, folder / "samples", recipe.save_every, brush)
    with progress("images of the class") as on_picture:
        prior = training.prior(pipe, task.classes, task.class_images, brush, on_picture)
    with progress("steps") as on_step:
        made = training.train(
            kind, pipe, shown, recipe, task.about, folder,
            prior=prior, samples=samples, on_step=on_step, restart=task.restart,
        )  # fmt: skip
    formats.write(made.lora, out, task.form)
    training.forget(folder)
    _tell(out, made, task.json)


def _check(task: Task) -> None:
    """Find out before hours of work that the file could not be written.

    Raises:
        BadOption: not a .safetensors file, or fewer than one image of the class.
        UnknownName: a format that is not written.
        NotWritable: the folder is missing or refuses.
    """
    if task.class_images < 1:
        raise BadOption(f"--class-images is {task.class_images}; it must be at least 1")
    if task.form not in WRITTEN:
        raise UnknownName(unknown("format", task.form, list(WRITTEN)))
    check_out(task.out)


def check_out(out: Path) -> None:
    """Find out before hours of work that a file could not be written.

    Raises:
        BadOption: not a .safetensors file.
        NotWritable: the folder is missing or refuses.
    """
    if out.suffix != ".safetensors":
        raise BadOption(f"--out is {str(out)!r}; give a file that ends in .safetensors")
    try:
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise NotWritable(
            f"{out}: cannot be written ({error.strerror}); choose a folder that exists and is yours"
        ) from None


@contextmanager
def progress(title: str) -> Iterator[Callable[..., None]]:
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
