"""What ``generate`` does: open, route, run with a progress bar, save, tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lorafusion.cli import setup, shelf, show
from lorafusion.cli.routed import Routing, routed
from lorafusion.generate import Job, Request, Result, again, label, prepare
from lorafusion.generate import make as make_images
from lorafusion.generate.job import OnStep
from lorafusion.record import Record, check_writable, read_record, save

SLUG = 60
"""Characters of a prompt that go into a file name."""


@dataclass(frozen=True)
class Place:
    """Where things are, as the options say: model, machine, LoRAs and output."""

    base: str | None
    dtype: str
    device: str
    library: Path | None
    out: Path | None
    zoom: int
    json: bool


def new(request: Request, routing: Routing, executor: str, place: Place) -> None:
    """Make new pictures. What can be checked without a model is checked before it is loaded.

    Raises:
        LorafusionError: as `lorafusion.generate.generate`.
    """
    paths = _paths(request, place.out)
    library = setup.open_library(place.library, place.base)
    job = Job(request, executor)
    with show.busy("Opening the base model"):
        pipe = setup.open_base(place.base, place.dtype, place.device)
    with show.busy("Asking which LoRAs fit the prompt"):
        library = library.fitting(setup.base_family(place.base, pipe))
        encoder = setup.open_encoder(routing.encoder, pipe)
        route, dropped = routed(request, routing, library, encoder, pipe)
        plan = prepare(pipe, job, route)
    left_out = shelf.problems(library.listing, {**library.foreign, **dropped})
    if not place.json:
        shelf.warn(left_out)
        show.weights(route)
        show.added(route)
    with _progress() as on_step:
        result = make_images(
            pipe,
            replace(job, on_step=on_step),
            route,
            plan,
            names=(place.base or setup.POCKET, label(routing.encoder, encoder)),
        )
    _finish(result, paths, place, left_out)


def repeat(source: Path, place: Place) -> None:
    """Make a recorded picture again.

    Raises:
        LorafusionError: as `lorafusion.generate.again`.
    """
    record = read_record(source.expanduser())
    path = _free(source.expanduser().name.removesuffix(".png") + "-again", place.out)
    check_writable(path)
    base = place.base or record.base
    library = setup.open_library(place.library, base)
    dtype = record.dtype if place.dtype == "auto" else place.dtype
    with show.busy("Opening the base model"):
        pipe = setup.open_base(base, dtype, place.device)
    with _progress() as on_step:
        result = again(record, library, pipe, on_step=on_step)
    if not place.json:
        show.weights(result.route)
        show.added(result.route)
    _finish(result, [path], place, shelf.problems(library.listing))
    _compare(record, result.record)


def _paths(request: Request, out: Path | None) -> list[Path]:
    """One path for each seed, each known to be writable."""
    words = re.sub(r"[^\w]+", "-", request.text.lower()).strip("-_")[:SLUG].strip("-_") or "picture"
    if out is not None and len(request.seeds) == 1:
        paths = [out.expanduser()]
    elif out is not None:
        target = out.expanduser()
        paths = [target.with_stem(f"{target.stem}-{seed}") for seed in request.seeds]
    else:
        paths = [_free(f"{words}-{seed}", None) for seed in request.seeds]
    for path in paths:
        check_writable(path)
    return paths


def _free(stem: str, out: Path | None) -> Path:
    """`out`, or else a PNG in the current folder that is not there yet."""
    if out is not None:
        return out.expanduser()
    path, number = Path(f"{stem}.png"), 1
    while path.exists():
        number += 1
        path = Path(f"{stem}-{number}.png")
    return path


@contextmanager
def _progress() -> Iterator[OnStep]:
    """A bar over the denoising steps, on stderr, where that is a terminal."""
    console = show.console(error=True)
    columns = (TextColumn("steps"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bars = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with bars as progress:
        task = progress.add_task("steps", total=None)

        def on_step(done: int, all_steps: int) -> None:
            progress.update(task, completed=done, total=all_steps)

        yield on_step


def _finish(result: Result, paths: list[Path], place: Place, left_out: shelf.Problems) -> None:
    made: list[dict[str, Any]] = []
    for image, record, path in zip(result.images, result.records, paths, strict=True):
        size = (image.width * place.zoom, image.height * place.zoom)
        save(image.resize(size, Image.Resampling.NEAREST), record, path)
        made.append({"path": str(path), "record": record.to_dict()})
        if not place.json:
            show.line(str(path))
    if place.json:
        show.document({"images": made, **left_out})


def _compare(old: Record, new: Record) -> None:
    """Say on stderr whether the pixels are those recorded, and if not, what is different."""
    out = show.console(error=True)
    if old.pixels == new.pixels:
        out.print("The same pixels as recorded.")
        return
    then, now = _circumstances(old), _circumstances(new)
    changed = [f"{key} {then[key]}, now {now[key]}" for key in then if then[key] != now.get(key)]
    why = "; ".join(changed) or "no difference of versions or machine is known"
    out.print(f"The pixels differ from the recorded ones: {why}", soft_wrap=True)


def _circumstances(record: Record) -> dict[str, str]:
    return {**record.versions, "device": record.device, "platform": record.platform}
