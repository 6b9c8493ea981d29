from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.routing.__main__ import PAGE, PICTURE, RESULTS
from benchmarks.routing.page import page
from benchmarks.routing.picture import picture
from benchmarks.routing.runs import runs
from benchmarks.routing.scale import RESULTS as SCALE


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def test_the_page_is_what_the_results_say(results: dict[str, Any]) -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == page(results, json.loads(SCALE.read_text(encoding="utf-8"))), (
        "run `python -m benchmarks.routing --pages`"
    )


def test_the_plot_is_what_the_results_say(results: dict[str, Any]) -> None:
    written = PICTURE.read_text(encoding="utf-8")
    assert written == picture(results), "run `python -m benchmarks.routing --pages`"
    ElementTree.fromstring(written)  # noqa: S314 - our own file


def test_every_router_was_measured(results: dict[str, Any]) -> None:
    assert {row["router"] for row in results["rows"]} == {run.label for run in runs()}


def test_results_say_where_they_come_from(results: dict[str, Any]) -> None:
    made = results["provenance"]
    assert {"command", "revision", "versions", "machine", "data", "seconds"} <= made.keys()
    assert "table3.heldout.jsonl" in made["data"]
