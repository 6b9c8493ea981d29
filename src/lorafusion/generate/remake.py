"""Make a recorded image again: the recorded weights, not a new routing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lorafusion.errors import BadOption, UnreadableFile, WrongBase
from lorafusion.generate.describe import dtype_name, fingerprint
from lorafusion.generate.job import Job, OnStep, accepts, check_call, run
from lorafusion.generate.request import Request
from lorafusion.generate.result import Result, records
from lorafusion.generate.schedulers import scheduled
from lorafusion.library import Entry, Library
from lorafusion.lora import LoRA
from lorafusion.methods import plan as make_plan
from lorafusion.pipelines import Insight
from lorafusion.plan import Candidate, Route
from lorafusion.record import Record, Used


@dataclass(frozen=True)
class Found:
    """A LoRA file found by its content, under the name and category of the record."""

    entry: Entry
    used: Used

    @property
    def name(self) -> str:
        """As recorded."""
        return self.used.name

    @property
    def category(self) -> str:
        """As recorded, since methods may order by it."""
        return self.used.category

    @property
    def path(self) -> Path:
        """Where the file is now."""
        return self.entry.path

    def load(self) -> LoRA:
        """Read the file.

        Raises:
            UnreadableFile: it changed since the library was scanned.
        """
        lora = self.entry.load()
        if lora.sha256 != self.used.sha256:
            raise UnreadableFile(
                f"{self.path}: changed since the library was scanned (sha256 {lora.sha256[:12]}, "
                f"recorded {self.used.sha256[:12]}); put the recorded file back"
            )
        return replace(lora, name=self.name, category=self.category)


def again(
    record: Record,
    library: Library,
    pipe: Any,
    *,
    call: Mapping[str, Any] | None = None,
    on_step: OnStep | None = None,
) -> Result:
    """Make the image of a record again, with identical pixels on the same machine and versions.

    The LoRA files are found by their content, so that they may have been moved or renamed; the
    recorded scheduler replaces the pipeline's own while this runs. ``result.record.pixels ==
    record.pixels`` says whether it is the same image.

    Args:
        record: as saved with the image.
        library: holds the LoRA files.
        pipe: the recorded base model, in the recorded dtype.
        call: the arguments that the record names as `unrecorded`, and no others.
        on_step: ``on_step(done, all)`` after each denoising step.

    Raises:
        WrongBase: `pipe` is another pipeline or another base model.
        UnreadableFile: the library has no file with the content of a recorded LoRA.
        BadOption: an unrecorded argument is missing from `call`.
        UnknownName: this version has no such method, executor or scheduler.
    """
    _check_base(record, pipe)
    sources = _find(record.loras, library)
    missing = [name for name in record.unrecorded if name not in (call or {})]
    if missing:
        raise BadOption(
            f"the record could not hold {', '.join(missing)}; give the same in call again"
        )
    route = _route(record, sources)
    job = Job(_request(record, pipe), record.executor, {**record.call, **(call or {})}, on_step)
    check_call(pipe, job)
    request = job.request
    plan = make_plan(
        record.method,
        route,
        record.steps,
        strength=record.strength,
        base=Insight(pipe),
        **dict(request.options),
    )
    with ExitStack() as stack:
        stack.enter_context(scheduled(pipe, record))
        made = run(pipe, plan, job, route.prompt)
        written = records(pipe, job, route, plan, made, (record.base, record.encoder))
    return Result(made[0], written, route, plan)


def _check_base(record: Record, pipe: Any) -> None:
    seen, digits = type(pipe).__name__, fingerprint(pipe)
    if (seen, digits) != (record.pipeline, record.fingerprint):
        raise WrongBase(
            f"the image was made with {record.base!r} ({record.pipeline}, {record.dtype}, "
            f"fingerprint {record.fingerprint}), but this is {seen}, "
            f"{dtype_name(pipe)}, fingerprint {digits}; load the recorded base model in the same "
            "dtype"
        )


def _find(wanted: Sequence[Used], library: Library) -> list[Found]:
    files = {used.file for used in wanted}
    missing = {used.sha256 for used in wanted}
    entries: dict[str, Entry] = {}
    # Files of the recorded names first: a large library is hashed only where something was renamed.
    for entry in sorted(library, key=lambda entry: entry.path.name not in files):
        if missing and entry.sha256 in missing:
            entries[entry.sha256] = entry
            missing.discard(entry.sha256)
    for used in wanted:
        if used.sha256 not in entries:
            there = any(entry.path.name == used.file for entry in library)
            what = "has other content" if there else "is not there"
            raise UnreadableFile(
                f"{library.folder}: LoRA {used.name!r} (sha256 {used.sha256[:12]}) was not found, "
                f"and {used.file!r} {what}; give the folder that holds the recorded file"
            )
    return [Found(entries[used.sha256], used) for used in wanted]


def _route(record: Record, sources: Sequence[Found]) -> Route:
    """The recorded prompt, weights and strengths: nothing is routed, pinned or added anew."""
    chosen = (
        Candidate(
            source,
            used.score,
            used.weight,
            used.phrase,
            strength=used.strength,
            text_strength=used.text_strength,
            pinned=used.pinned,
        )
        for source in sources
        for used in [source.used]
    )
    return Route(record.prompt, tuple(chosen), record.router, added=record.triggers)


def _request(record: Record, pipe: Any) -> Request:
    sized = accepts(pipe, "width") and accepts(pipe, "height")
    return Request(
        prompt=record.asked,
        seeds=(record.seed,),
        steps=record.steps,
        negative_prompt=record.negative_prompt,
        guidance_scale=record.guidance_scale,
        width=record.width if sized else None,
        height=record.height if sized else None,
        method=record.method,
        options=record.options,
        strength=record.strength,
    )
