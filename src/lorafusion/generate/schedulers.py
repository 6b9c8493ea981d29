"""A pipeline's scheduler as data, and put back from data."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lorafusion.errors import UnknownName
from lorafusion.record import Record


def snapshot(scheduler: Any) -> dict[str, object]:
    """A scheduler's configuration as JSON knows it; infinite values as text ("-inf")."""
    config = json.loads(scheduler.to_json_string())
    return {key: _plain(value) for key, value in config.items()}


@contextmanager
def scheduled(pipe: Any, record: Record) -> Iterator[None]:
    """Give `pipe` the recorded scheduler inside the block and its own one back on exit.

    Raises:
        UnknownName: diffusers has no scheduler of that name.
    """
    own = pipe.scheduler
    pipe.scheduler = _made(record.scheduler, record.scheduler_config)
    try:
        yield
    finally:
        pipe.scheduler = own


def _made(name: str, config: Mapping[str, object]) -> Any:
    import diffusers

    kind = getattr(diffusers, name, None)
    # The name comes from a file: nothing but a scheduler may be made from it.
    if not (isinstance(kind, type) and issubclass(kind, diffusers.SchedulerMixin)):
        raise UnknownName(
            f"the record names scheduler {name!r}, which diffusers {diffusers.__version__} does "
            "not have; use the version that the record names"
        )
    return kind.from_config({key: _number(value) for key, value in config.items()})  # type: ignore[attr-defined]  # ConfigMixin


def _plain(value: object) -> object:
    infinite = isinstance(value, float) and not math.isfinite(value)
    return str(value) if infinite else value


def _number(value: object) -> object:
    return float(value) if isinstance(value, str) and value in ("inf", "-inf", "nan") else value
