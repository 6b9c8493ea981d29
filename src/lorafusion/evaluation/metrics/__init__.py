"""Metrics by name, and `open_metric`, the one way to make one."""

from __future__ import annotations

import inspect
from typing import Any

from lorafusion.errors import BadOption, UnknownName
from lorafusion.evaluation.metrics.shown import Metric, Shown
from lorafusion.registry import Registry, unknown

__all__ = ["METRICS", "Metric", "Shown", "open_metric"]

_HERE = "lorafusion.evaluation.metrics"

METRICS: Registry[Any] = Registry(
    "metric",
    "lorafusion.metrics",
    {
        "clip": f"{_HERE}.clip:ClipScore",
        "clip-i": f"{_HERE}.similar:clip_i",
        "dino-i": f"{_HERE}.similar:dino_i",
        "elements": f"{_HERE}.elements:ElementSuccess",
        "spread": f"{_HERE}.variety:spread",
        "lpips": f"{_HERE}.variety:lpips_diversity",
        "clip-diversity": f"{_HERE}.variety:clip_diversity",
        "naturalness": f"{_HERE}.pocket:Naturalness",
        "quality": f"{_HERE}.packages:quality",
        "image-reward": f"{_HERE}.packages:image_reward",
        "hps": f"{_HERE}.packages:hps",
    },
)
"""Name -> what makes a `Metric`, its options being keyword arguments."""


def open_metric(name: str, **options: object) -> Metric:
    """A metric, ready to be asked.

    Args:
        name: of `METRICS`.
        options: of the metric; text and numbers.

    Raises:
        UnknownName: no such metric, or no such option of it.
        BadOption: an option that it needs is missing.
        InputError: as the metric: a model or folder that cannot be read.
    """
    make = METRICS[name]
    parameters = inspect.signature(make).parameters
    free = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    known = [p.name for p in parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    for option in options:
        if option not in known and not free:
            raise UnknownName(unknown(f"option of metric {name!r}", option, known))
    for option in known:
        if parameters[option].default is inspect.Parameter.empty and option not in options:
            raise BadOption(f"metric {name!r} needs {option}; give {option}=...")
    made: Metric = make(**options)
    return made
