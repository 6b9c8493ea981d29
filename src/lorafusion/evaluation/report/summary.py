"""Summary: one table of a run with intervals, and every pair of arms against each other.

The set is the unit: seeds (and, for the arm "alone", the LoRAs of a set) are averaged first. Arms
are compared on the images that both have; "alone" is no method of composing and stands in no pair.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from typing import Any

import numpy as np

from lorafusion.evaluation.report.scores import Scored
from lorafusion.evaluation.runner.arms import arms_as_data
from lorafusion.evaluation.runner.cells import Unit, units
from lorafusion.evaluation.runner.config import Bench
from lorafusion.evaluation.statistics.bootstrap import DRAWS, mean_over_sets
from lorafusion.evaluation.statistics.wins import duels
from lorafusion.version import __version__

Means = dict[str, dict[str, dict[tuple[str, int], float]]]
"""measure -> arm -> (set, seed) -> value."""


def summary(bench: Bench, scored: Sequence[Scored], *, draws: int = DRAWS) -> dict[str, Any]:
    """Everything that tables, plots and pages are made from, as plain values.

    Args:
        bench: the run.
        scored: the values of each of its metrics.
        draws: resamples of an interval.
    """
    done = [unit for unit in units(bench) if not unit.missing(bench.out)]
    values: dict[str, dict[str, float]] = {}
    for one in scored:
        for name, measures in one.values.items():
            values.setdefault(name, {}).update(measures)
    means = _means(done, values)
    sizes = {one.name: len(one.elements) for one in bench.bed.combinations}
    rivals = {arm.name for arm in bench.arms if arm.method != "alone"}
    return {
        "run": _run(bench),
        "about": [one.about for one in scored],
        "measures": list(means),
        "arms": [_row(arm.name, done, means, sizes, draws) for arm in bench.arms],
        "duels": {
            measure: [
                asdict(one)
                for one in duels(
                    {name: by for name, by in means[measure].items() if name in rivals},
                    draws=draws,
                )
            ]
            for measure in means
        },
        "provenance": _provenance(draws),
    }


def _means(done: Sequence[Unit], values: Mapping[str, Mapping[str, float]]) -> Means:
    found: dict[str, dict[str, dict[tuple[str, int], list[float]]]] = {}
    for unit in done:
        for cell in unit.cells:
            for measure, value in values.get(cell.name, {}).items():
                arms = found.setdefault(measure, {})
                images = arms.setdefault(unit.arm.name, {})
                images.setdefault((unit.combination.name, cell.seed), []).append(value)
    return {
        measure: {
            arm: {key: float(np.mean(each)) for key, each in images.items()}
            for arm, images in arms.items()
        }
        for measure, arms in found.items()
    }


def _row(
    arm: str, done: Sequence[Unit], means: Means, sizes: Mapping[str, int], draws: int
) -> dict[str, Any]:
    own = [unit for unit in done if unit.arm.name == arm]
    measures: dict[str, Any] = {}
    by_size: dict[str, dict[str, float]] = {}
    for measure, arms in means.items():
        by_set: dict[str, list[float]] = {}
        for (name, _), value in arms.get(arm, {}).items():
            by_set.setdefault(name, []).append(value)
        if not by_set:
            continue
        each = {name: float(np.mean(values)) for name, values in by_set.items()}
        estimate = mean_over_sets(np.array([each[name] for name in sorted(each)]), draws=draws)
        measures[measure] = asdict(estimate) | {"sets": len(each)}
        for size in sorted(set(sizes.values())):
            of_size = [value for name, value in each.items() if sizes[name] == size]
            if of_size:
                by_size.setdefault(str(size), {})[measure] = float(np.mean(of_size))
    return {
        "arm": arm,
        "images": sum(len(unit.cells) for unit in own),
        "sets": len(own),
        "measures": measures,
        "by_size": by_size,
    }


def _run(bench: Bench) -> dict[str, Any]:
    return {
        "testbed": bench.bed.name,
        "source": bench.bed.source,
        "sets": {str(size): count for size, count in bench.bed.sizes.items()},
        "seeds": bench.seeds,
        "router": bench.router,
        "choice": bench.choice,
        "strength": bench.strength,
        "steps": {name: one.steps for name, one in bench.bed.settings.items()},
        "arms": arms_as_data(bench.arms),
    }


def _provenance(draws: int) -> dict[str, Any]:
    packages = ("torch", "diffusers", "transformers", "numpy")
    return {
        "lorafusion": __version__,
        "versions": {name: metadata.version(name) for name in packages},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "interval": f"95 %, {draws} resamples of whole sets, seed 0",
        "p": "two-sided sign-flip test over sets, Holm's correction within a measure",
    }
