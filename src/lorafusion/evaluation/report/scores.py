"""Scores: what metrics say of a run's images, kept beside them so that nothing is computed twice."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from lorafusion.errors import NotWritable, UnreadableFile
from lorafusion.evaluation.metrics import Metric, Shown, open_metric
from lorafusion.evaluation.runner.cells import Unit, units
from lorafusion.evaluation.runner.config import Bench, Measured
from lorafusion.record import read_record

OFTEN = 50
"""Units that are scored together, before the file is written again."""


@dataclass(frozen=True)
class Scored:
    """The values of one metric: cell -> measure -> value."""

    about: str
    values: Mapping[str, Mapping[str, float]]


def score(
    bench: Bench, asked: Measured, *, on_unit: Callable[[int, int], object] | None = None
) -> Scored:
    """The values of a metric for every finished unit; only those are computed that are not kept.

    Values belong to pixels: an image that was made anew is scored anew. A unit counts when all of
    its images are there, since some measures compare seeds.

    Raises:
        InputError: as `open_metric`.
        NotWritable: the folder refuses the file.
    """
    path = bench.out / "scores" / _file(asked)
    kept: dict[str, dict[str, Any]] = _read(path)
    metric: Metric | None = None
    about = str(kept.pop("about", ""))
    todo = [unit for unit in units(bench) if not unit.missing(bench.out)]
    for start in range(0, len(todo), OFTEN):
        part = [(unit, _pixels(unit, bench.out)) for unit in todo[start : start + OFTEN]]
        new = [(unit, seen) for unit, seen in part if not _are_kept(seen, kept)]
        if new:
            metric = metric or open_metric(asked.name, **asked.options)
            about = metric.about
            values = metric([one for unit, _ in new for one in _shown(unit, bench.out)])
            digests = {name: digest for _, seen in new for name, digest in seen.items()}
            for (name, digest), row in zip(digests.items(), values, strict=True):
                kept[name] = {"pixels": digest, "measures": row}
            _write(path, {"about": about} | kept)
        if on_unit is not None:
            on_unit(start + len(part), len(todo))
    names = {cell.name for unit in todo for cell in unit.cells}
    return Scored(about, {name: kept[name]["measures"] for name in kept if name in names})


def _pixels(unit: Unit, out: Path) -> dict[str, str]:
    """Cell -> hash of its pixels."""
    return {cell.name: read_record(cell.path(out)).pixels for cell in unit.cells}


def _are_kept(seen: Mapping[str, str], kept: Mapping[str, Mapping[str, Any]]) -> bool:
    return all(kept.get(name, {}).get("pixels") == digest for name, digest in seen.items())


def _file(asked: Measured) -> str:
    """Where values are kept: the metric's name, and a hash of its options where there are some."""
    if not asked.options:
        return f"{asked.name}.json"
    text = json.dumps(dict(asked.options), sort_keys=True)
    return f"{asked.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.json"


def _shown(unit: Unit, out: Path) -> Iterator[Shown]:
    for cell in unit.cells:
        with Image.open(cell.path(out)) as image:
            pixels = image.convert("RGB")
        # Each LoRA alone is a group of its own: what differs between LoRAs is no variety of seeds.
        group = f"{unit.combination.name}/{unit.arm.name}/{cell.variant}"
        yield Shown(cell.name, pixels, cell.combination, group)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UnreadableFile(f"{path}: is not JSON ({error}); delete it to score again") from None
    if not isinstance(content, dict):
        raise UnreadableFile(f"{path}: holds no scores; delete it to score again")
    return content


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=0, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        NotWritable: the folder refuses it.
    """
    # A name of its own: several threads may write the same answer at the same time.
    beside = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise NotWritable(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        beside.unlink(missing_ok=True)
