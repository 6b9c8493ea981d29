"""The reproduction's page says what the results say, and its experiments can be run."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.reproduction.__main__ import HERE, PAGE, experiments, results
from benchmarks.reproduction.page import page
from lorafusion.evaluation.runner.config import read_bench

NAMES = [one["name"] for one in experiments()]


def test_the_page_is_what_the_results_say() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == page(experiments(), results()), (
        "run `python -m benchmarks.reproduction --pages`"
    )


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_can_be_read_and_has_a_control(name: str) -> None:
    bench = read_bench(HERE / f"{name}.toml")
    assert len(bench.arms) > 1
    assert bench.bed.combinations


def test_every_file_is_asked_for() -> None:
    files = {path.stem for path in HERE.glob("*.toml")} - {"questions"}
    assert files == set(NAMES)


def test_a_result_appears_with_its_interval_and_without_one_its_command() -> None:
    estimate = {"value": 0.25, "low": 0.2, "high": 0.3}
    row = {"arm": "nla", "images": 4, "sets": 2, "measures": {"m": estimate | {"sets": 2}}}
    found: dict[str, Any] = {
        "provenance": {"revision": "abcdef0123456789", "machine": {"processor": "a chip"}},
        "report": {
            "run": {"testbed": "pocket", "sets": {"3": 2}, "seeds": 2, "router": "cosine"},
            "about": ["m: a measure"],
            "measures": ["m"],
            "arms": [row | {"by_size": {}}],
            "duels": {"m": []},
        },
    }
    text = page(experiments(), {"table5": found})
    assert "| nla | 2 | 4 | 0.25 [0.2, 0.3] |" in text
    assert "revision abcdef012345, a chip" in text
    assert "--only table5" not in text
    assert "--only numbers" in text
