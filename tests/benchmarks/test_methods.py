"""The parts of benchmarks/methods that draw and measure, without a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

import lorafusion as lf
from benchmarks.methods import report, tried
from benchmarks.methods.cases import case, cases
from benchmarks.methods.chart import chart
from benchmarks.methods.compare import HALVES, Comparison, ahead, half_of, sets
from benchmarks.methods.entries import Entry, entries
from benchmarks.methods.sheet import SIDE, sheet, strip
from benchmarks.pocket.contenders import spent
from lorafusion.plan import Candidate
from lorafusion.pocket.world import INDIVIDUALS
from tests.methods.given import NAMES, FakeBase, Given, change, lora, planned, route, same
from tests.methods.test_contracts import card


@pytest.mark.parametrize("name", NAMES)
def test_every_plan_has_a_chart(name: str) -> None:
    made = planned(name, route([1.0, 0.5]), 12)
    drawn = ElementTree.fromstring(chart(made))  # noqa: S314 - our own SVG
    texts = [element.text or "" for element in drawn.iter() if element.tag.endswith("text")]
    assert texts[0].startswith(f"{made.method}: gates over 12 steps")
    assert made.method.startswith(name)
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


def test_halves_share_no_set_and_grow_by_more() -> None:
    for size in (2, 3, 5):
        tune, shown = (sets(size, half, 100) for half in HALVES)
        assert not set(tune) & set(shown)
        assert sets(size, "report", 10) == shown[:10]
        assert {half_of(one) for one in tune} == {"tune"}


def given(names: tuple[str, ...]) -> lf.Route:
    made = [
        Candidate(Given(replace(lora(i, INDIVIDUALS[name].category), name=name)), 1.0, 1.0)
        for i, name in enumerate(names)
    ]
    return lf.Route("a prompt", tuple(made))


FIVE = given(("robot", "crown", "guitar", "library", "sketch"))


def test_at_the_strength_of_auto_all_spend_alike() -> None:
    asked = FIVE.with_weights(dict.fromkeys(FIVE.weights, 0.9))
    wanted = spent(Entry("auto", "auto").plan(asked, 20, FakeBase(), asked))
    assert wanted == pytest.approx(4.5)
    for name in ("merge", "switch", "composite"):
        made = Entry("x", name, {}, "auto").plan(FIVE, 20, FakeBase(), asked)
        assert spent(made) == pytest.approx(wanted)
    rewritten = Entry("x", "ties", {}, "auto").plan(FIVE, 20, FakeBase(), asked)
    assert rewritten.gates.flatten().tolist() == pytest.approx([0.9] * 20)


def test_every_row_has_its_own_name_and_pictures() -> None:
    for rows in (entries(), tried.entries()):
        assert (
            len({one.label for one in rows}) == len({one.ident(4.0) for one in rows}) == len(rows)
        )
    own = [one.method for one in entries() if one.budget == "own"]
    assert set(NAMES) - set(own) == {"mole", "single"}


def test_every_idea_is_a_plan() -> None:
    for one in tried.entries():
        made = one.plan(FIVE, 20, FakeBase(), FIVE)
        assert (made.steps, len(made.loras)) == (20, 5)
    late = next(one for one in tried.entries() if one.label.startswith("styles in the last 6"))
    made = late.plan(FIVE, 20, FakeBase(), FIVE)
    assert made.gates[:, 0, 4].tolist() == [0.0] * 14 + [1.0] * 6
    added = next(one for one in tried.entries() if one.label.startswith("effects added up"))
    same(change(added.plan(FIVE, 20, FakeBase(), FIVE)), change(lf.plan("merge", FIVE, 20)))


def test_auto_is_compared_set_by_set() -> None:
    one, two, three = sets(2, "report", 3)
    auto = {one: [{"right": {"a": True, "b": True}}], two: [{"right": {"a": True, "b": False}}]}
    other = {one: [{"right": {"a": False, "b": True}}], three: [{"right": {"a": True, "b": True}}]}
    assert ahead(auto, other) == {"mean": 0.5, "low": 0.5, "high": 0.5, "n": 1}
    assert ahead({}, other)["mean"] is None


class Stub:
    """A studio whose pictures are black, and whose scorers find all but styles right."""

    steps = 20
    pipe = None
    loras = Path("loras")

    def __init__(self) -> None:
        self.files = {name: lora(0) for name in INDIVIDUALS}
        self.drawn: list[tuple[str, float]] = []

    def painters(self) -> list[Path]:
        return []

    def draw(self, prompts: list[str], seeds: list[int], plan: lf.Plan, guidance: float) -> Any:
        assert len(set(seeds)) == len(prompts) == 2
        self.drawn.append((prompts[0], guidance))
        return np.zeros((2, 64, 64, 3), np.uint8)

    def score(self, shown: Any, prompts: Any, words: Any, names: list[dict[str, str]]) -> Any:
        right = {name: INDIVIDUALS[name].category != "style" for name in names[0]}
        seen = {names[0][name]: one for name, one in right.items()}
        score = {"found": seen, "right": right, "naturalness": 0.5, "clip": 0.5}
        return [score for _ in shown]


def test_a_comparison_draws_what_is_missing_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Comparison, "_weights", lambda self, one: ())
    rows = [Entry("merge", "merge"), Entry("auto", "auto"), Entry("hot", "merge", guidance=7.0)]
    stub: Any = Stub()
    two = Comparison(stub, rows[:2], "report", 2, (3, 5), 2, 4.0, tmp_path)
    assert two.draw()
    assert len(stub.drawn) == len(two.cells) == 8
    assert two.draw()
    assert len(stub.drawn) == 8
    three = Comparison(stub, rows, "report", 3, (3, 5), 2, 4.0, tmp_path)
    assert three.draw()
    assert len(stub.drawn) == 18
    assert {scale for _, scale in stub.drawn} == {4.0, 7.0}
    found = {(row["loras"], row["label"]): row for row in three.rows()}
    assert found[5, "merge"]["sets"] == 3
    assert found[5, "merge"]["identity right"]["mean"] == 0.8
    assert found[5, "merge"]["right by category"]["style"] == 0.0
    assert found[5, "hot"]["auto ahead"]["mean"] == 0.0


def test_the_page_is_what_its_results_say() -> None:
    assert report.PAGE.read_text(encoding="utf-8") == report.page()


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
