"""The parts of benchmarks/methods that draw and measure, without a model."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.methods.cases import case, cases
from benchmarks.methods.chart import chart
from benchmarks.methods.compare import VARIANTS, interval
from benchmarks.methods.measure import colours, measure_of
from benchmarks.methods.sheet import SIDE, sheet, strip
from lorafusion.methods import options_of
from tests.methods.given import NAMES, planned, route
from tests.methods.test_contracts import card


@pytest.mark.parametrize("name", NAMES)
def test_every_plan_has_a_chart(name: str) -> None:
    made = planned(name, route([1.0, 0.5]), 12)
    drawn = ElementTree.fromstring(chart(made))  # noqa: S314 - our own SVG
    texts = [element.text or "" for element in drawn.iter() if element.tag.endswith("text")]
    assert texts[0].startswith(f"{name}: gates over 12 steps")
    cells = [element for element in drawn.iter() if element.tag.endswith("rect")][1:]
    assert len(cells) % 12 == 0
    if name in ("switch", "merge", "fusion"):
        assert len(cells) == 24
    assert (made.mixer is not None) == ("a function of the predictions" in texts[-1])
    assert card(name).calls.of(2) == 1 or "one prediction a branch" in texts[-1]


def test_a_cell_is_as_dark_as_its_gate() -> None:
    drawn = chart(planned("fusion", route([1.0, 0.5]), 1))
    assert 'fill="rgb(42,111,151)"' in drawn
    assert 'fill="rgb(148,183,203)"' in drawn


def test_cases_name_one_individual_a_category() -> None:
    found = cases(5, 4, 0)
    assert found == cases(5, 4, 0)
    assert found != cases(5, 4, 1)
    assert len({each.names for each in found}) == 4
    assert all(len(each.names) == 5 for each in found)
    shown = case(("robot", "crown", "balloon", "beach", "pixel-art"))
    assert shown.prompt == "a robot wearing a crown with a balloon at the beach, pixel art"
    assert case(("fox", "glasses")).prompt == "a fox wearing glasses"


def test_colours_are_shares() -> None:
    half = np.zeros((2, 2, 3), dtype=np.uint8)
    half[0] = 255
    found = colours(half)
    assert found.sum() == 1
    assert sorted(found[found > 0]) == [0.5, 0.5]
    assert measure_of("benchmarks.methods.measure:colours") is colours  # type: ignore[comparison-overlap]


def test_an_interval_holds_the_mean_and_shrinks() -> None:
    scores = [0.1, 0.5, 0.9, 0.4]
    low, high = interval(scores, 0)
    assert low < 0.475 < high
    nearer = interval(scores * 16, 0)
    assert nearer[1] - nearer[0] < (high - low) / 2
    assert interval([0.3, 0.3], 0) == (0.3, 0.3)


def test_variants_are_options_that_auto_has() -> None:
    known: dict[str, Any] = options_of("auto")
    assert all(set(each.options) <= set(known) for each in VARIANTS)
    assert len({each.label for each in VARIANTS}) == len(VARIANTS)


def test_strips_and_sheets_hold_every_picture() -> None:
    red = Image.new("RGB", (8, 8), "red")
    row = strip([red, None])
    assert row.getpixel((0, 0)) == (255, 0, 0)
    assert row.getpixel((row.width - 1, 0)) == (225, 225, 225)
    rows = {"a": [red, None], "b": [red, red], "c": [None, None], "d": [red, red]}
    whole = sheet({name: strip(pictures) for name, pictures in rows.items()})
    pixels = np.asarray(whole).reshape(-1, 3)
    assert (pixels == (255, 0, 0)).all(1).sum() == 5 * SIDE * SIDE
    assert torch.tensor(whole.size).min() > SIDE
