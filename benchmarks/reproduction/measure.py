"""Measure: an experiment's images to what the page shows: tables, tables by size, and the duels of its claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from lorafusion.evaluation.report.scores import score
from lorafusion.evaluation.report.summary import summary
from lorafusion.evaluation.runner.arms import CONTROLS
from lorafusion.evaluation.runner.cells import units
from lorafusion.evaluation.runner.config import Bench
from lorafusion.evaluation.statistics.wins import holm

DUEL = ("wins", "ties", "losses", "difference", "p", "corrected", "sets")


def measured(bench: Bench, claims: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The summary of a run without the pairs that nothing is claimed of; the same for each number of LoRAs.

    Args:
        bench: the run; its images are there.
        claims: of ``questions.toml``.
    """
    asked_for, bench = bench.bed.sizes, _on_finished_sets(bench)
    scored = [score(bench, asked) for asked in bench.metrics]
    whole = summary(bench, scored)
    parts = {"": whole}
    if len(bench.bed.sizes) > 1:
        for size in bench.bed.sizes:
            part = replace(bench, bed=bench.bed.of_sizes([size]))
            parts[str(size)] = summary(part, scored)
    duels = _corrected([_duels(parts, claim) for claim in claims])
    kept = {key: whole[key] for key in ("run", "about", "measures", "arms", "provenance")}
    sizes = {size: part["arms"] for size, part in parts.items() if size}
    kept["run"]["sets"] = {str(size): count for size, count in asked_for.items()}
    finished = {str(size): bench.bed.sizes.get(size, 0) for size in asked_for}
    return kept | {"finished": finished, "sizes": sizes, "claims": duels}


def _on_finished_sets(bench: Bench) -> Bench:
    """The run on the sets that every method has finished, for a run may be measured on its way.

    The controls that are made on some sets alone do not hold the others up.
    """
    late = {
        unit.combination.name
        for unit in units(bench)
        if unit.arm.method not in CONTROLS and unit.missing(bench.out)
    }
    kept = tuple(one for one in bench.bed.combinations if one.name not in late)
    return replace(bench, bed=replace(bench.bed, combinations=kept))


def _corrected(claims: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """p-values corrected for the claims that are made, together for all sets and for each size."""
    for size in {size for claim in claims for size in claim["duels"]}:
        own = [claim["duels"][size] for claim in claims if size in claim["duels"]]
        for duel, p in zip(own, holm([duel["p"] for duel in own]), strict=True):
            duel["corrected"] = p
    return claims


def _duels(parts: Mapping[str, Any], claim: Mapping[str, Any]) -> dict[str, Any]:
    """The claim's pair, all sets first ("") and then by size, the first method being the claimed one."""
    found: dict[str, Any] = dict(claim) | {"duels": {}}
    for size, part in parts.items():
        for one in part["duels"].get(claim["measure"], ()):
            if (one["first"], one["second"]) == (claim["first"], claim["second"]):
                found["duels"][size] = {key: one[key] for key in DUEL}
            if (one["second"], one["first"]) == (claim["first"], claim["second"]):
                found["duels"][size] = _turned(one)
    return found


def _turned(one: Mapping[str, Any]) -> dict[str, Any]:
    gap = one["difference"]
    ends = {"value": -gap["value"], "low": _minus(gap["high"]), "high": _minus(gap["low"])}
    turned = {"wins": one["losses"], "losses": one["wins"], "difference": ends}
    return {key: one[key] for key in DUEL} | turned


def _minus(value: float | None) -> float | None:
    return None if value is None else -value
