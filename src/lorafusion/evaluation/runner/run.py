"""Run: make every image of a run that is not there yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from lorafusion.errors import LorafusionError, RunError
from lorafusion.evaluation.runner.cells import Cell, Unit, units
from lorafusion.evaluation.runner.claim import claimed
from lorafusion.evaluation.runner.config import Bench, arms_as_data
from lorafusion.evaluation.runner.identity import agree
from lorafusion.evaluation.runner.studio import OpenBase, Studio
from lorafusion.evaluation.runner.weigh import method_of, plan_of, route_of
from lorafusion.generate import Job, Request, make
from lorafusion.library import Encoder
from lorafusion.record import save
from lorafusion.version import __version__

OnImage = Callable[[int, int], object]
"""``on_image(done, all)``: how many images of the run are there, whoever made them."""

WAIT = 0.5
"""Seconds between two looks at units that other processes are at."""


@dataclass(frozen=True)
class Done:
    """What this process did: images made here, and images of the whole run."""

    made: int
    images: int


def run(
    bench: Bench,
    open_base: OpenBase,
    encoder: Encoder | None = None,
    *,
    on_image: OnImage | None = None,
) -> Done:
    """Make the images of a run; several processes may do this for the same folder at once.

    Returns when all images are there. A killed run is continued by running it again: what is there
    is not made again, and every image depends on its set and seed alone, so that the result is the
    same as that of a run that nobody killed.

    Args:
        bench: the run.
        open_base: opens a base model by name.
        encoder: of the router; None where nothing is routed.
        on_image: told at the start and after each image.

    Raises:
        BadOption: the folder belongs to another run.
        InputError: as `Studio` and `generate`.
    """
    studio = Studio(bench, open_base, encoder)
    agree(bench.out / "run.json", _identity(bench, studio))
    todo = list(units(bench))
    count = sum(len(unit.cells) for unit in todo)
    made = 0
    while todo:
        left: list[Unit] = []
        before = made
        missing = sum(len(unit.missing(bench.out)) for unit in todo)
        for unit in todo:
            for _ in _work(unit, bench, studio):
                made += 1
                missing -= 1
                if on_image is not None:
                    on_image(count - missing, count)
            left += [unit] if unit.missing(bench.out) else []
        todo = left
        if todo and made == before:
            time.sleep(WAIT)  # others are at what is left; should they die, it becomes ours
    if on_image is not None:
        on_image(count, count)
    return Done(made, count)


def _work(unit: Unit, bench: Bench, studio: Studio) -> Iterator[Cell]:
    """Make what is missing of a unit, unless another process is at it; each cell once it is saved."""
    if not unit.missing(bench.out):
        return
    with claimed(unit.folder(bench.out)) as ours:
        # Asked again under the claim, for another may have just finished it.
        for cell in unit.missing(bench.out) if ours else ():
            try:
                _make(cell, bench, studio)
            except LorafusionError as error:
                raise type(error)(f"{cell.name}: {error}") from error
            except Exception as error:
                raise RunError(f"{cell.name}: {type(error).__name__}: {error}") from error
            yield cell


def _make(cell: Cell, bench: Bench, studio: Studio) -> None:
    setting = bench.bed.settings[cell.combination.setting]
    pipe = studio.pipeline(cell.combination.setting)
    route = route_of(cell, bench, studio)
    plan, strength = plan_of(cell, route, setting.steps, bench.strength)
    request = Request(
        prompt=cell.combination.prompt,
        seeds=(bench.bed.seed(cell.combination, cell.seed),),
        steps=setting.steps,
        negative_prompt=setting.negative_prompt,
        guidance_scale=setting.guidance_scale,
        width=setting.width,
        height=setting.height,
        method=method_of(cell),
        options=dict(cell.arm.options),
        strength=strength,
    )
    job = Job(request, bench.executor)
    base = bench.base or setting.base or "pocket"
    result = make(pipe, job, route, plan, names=(base, studio.encoder_label))
    save(result.image, result.record, cell.path(bench.out))


def _identity(bench: Bench, studio: Studio) -> dict[str, Any]:
    return {
        "file": dict(bench.text),
        "testbed": bench.bed.name,
        "strength": bench.strength,
        "arms": arms_as_data(bench.arms),
        "loras": dict(studio.files),
        "encoder": studio.encoder_label,
        "lorafusion": __version__,
    }
