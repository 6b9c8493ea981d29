"""Run: make every image of a run that is not there yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lorafusion.errors import LorafusionError, RunError
from lorafusion.evaluation.runner.arms import arms_as_data
from lorafusion.evaluation.runner.batches import batches
from lorafusion.evaluation.runner.cells import Block, Cell, blocks
from lorafusion.evaluation.runner.claim import claimed
from lorafusion.evaluation.runner.config import Bench
from lorafusion.evaluation.runner.identity import agree
from lorafusion.evaluation.runner.studio import OpenBase, Studio
from lorafusion.evaluation.runner.weigh import plan_of, request_of, route_of, steps_of
from lorafusion.generate import Job, make
from lorafusion.generate.many import make_many
from lorafusion.generate.result import Result
from lorafusion.library import Encoder
from lorafusion.pipelines import Insight
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
        BadOption: the folder has images that were made otherwise.
        InputError: as `Studio` and `generate`.
    """
    studio = Studio(bench, open_base, encoder)
    _agree(bench, studio)
    todo = list(blocks(bench))
    count = sum(len(block.cells) for block in todo)
    made = 0
    while todo:
        before = made
        missing = sum(len(block.missing(bench.out)) for block in todo)
        for block in todo:
            for _ in _work(block, bench, studio):
                made += 1
                missing -= 1
                if on_image is not None:
                    on_image(count - missing, count)
        todo = [block for block in todo if block.missing(bench.out)]
        if todo and made == before:
            time.sleep(WAIT)  # others are at what is left; should they die, it becomes ours
    if on_image is not None:
        on_image(count, count)
    return Done(made, count)


def _work(block: Block, bench: Bench, studio: Studio) -> Iterator[Cell]:
    """Make what is missing of a set, unless another process is at it; each cell once it is saved."""
    if not block.missing(bench.out):
        return
    with claimed(block.folder(bench.out)) as ours:
        # Asked again under the claim, for another may have just finished it.
        for batch in batches(block, bench.out, bench.batch) if ours else ():
            try:
                results = _make(batch, bench, studio)
            except LorafusionError as error:
                raise type(error)(f"{batch[0].name}: {error}") from error
            except Exception as error:
                raise RunError(f"{batch[0].name}: {type(error).__name__}: {error}") from error
            for cell, result in zip(batch, results, strict=True):
                path = cell.path(bench.out)
                if not path.is_file():
                    path.parent.mkdir(exist_ok=True)
                    save(result.image, result.record, path)
                    yield cell


def _make(cells: Sequence[Cell], bench: Bench, studio: Studio) -> list[Result]:
    """The images of cells of one set, together where there are several."""
    name = cells[0].combination.setting
    pipe = studio.pipeline(name)
    jobs, planned = [], []
    for cell in cells:
        route = route_of(cell, bench, studio)
        steps = steps_of(cell, bench)
        plan, strength = plan_of(cell, route, steps, bench.strength, Insight(pipe))
        jobs.append(Job(request_of(cell, bench, strength), bench.executor))
        planned.append((route, plan))
    names = (bench.base or bench.bed.settings[name].base or "pocket", studio.encoder_label)
    if len(cells) > 1:
        return make_many(pipe, jobs, planned, names)
    return [make(pipe, jobs[0], *planned[0], names=names)]


def _agree(bench: Bench, studio: Studio) -> None:
    """Insist that images of one folder are made alike: arm by arm and LoRA by LoRA, whoever asks.

    So several files may share a folder, and a run may later have more sets, seeds or methods.
    """
    folder = bench.out / "made-with"
    shared = {"encoder": studio.encoder_label, "lorafusion": __version__}
    agree(folder / "run.json", dict(bench.text) | shared)
    for arm, told in zip(bench.arms, arms_as_data(bench.arms), strict=True):
        usual = {"strength": bench.strength} if arm.budget == "own" else {}
        own = {key: value for key, value in arm.changes.items() if key != "sets"}
        agree(folder / f"arm-{arm.name}.json", usual | told | {"changes": own})
    for file, digest in studio.files.items():
        agree(folder / f"lora-{file.replace('/', '-')}.json", {"sha256": digest})
