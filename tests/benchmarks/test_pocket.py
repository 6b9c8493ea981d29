"""The benchmarks of pocket: shared work, intervals, strengths, and the page that is made of results."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lorafusion as lf
from benchmarks.pocket import base, loras, table
from benchmarks.pocket.__main__ import PAGE, results
from benchmarks.pocket.cells import fill, load
from benchmarks.pocket.contenders import CONTENDERS, EQUAL, spent
from benchmarks.pocket.intervals import mean_of
from benchmarks.pocket.page import page
from benchmarks.pocket.routes import by_hand, by_prompt
from benchmarks.pocket.sets import SIZES, drawn, kind_of, names_of
from benchmarks.pocket.studio import Studio, seed_of
from lorafusion.evaluation.testbeds.pocket import set_of
from lorafusion.lora import LowRank
from lorafusion.pocket import world

needs_font = pytest.mark.skipif(
    world.font_path() is None, reason="the font NotoColorEmoji.ttf is not installed"
)
GREY = np.full((1, 64, 64, 3), 7, np.uint8)
SET = set_of(("robot", "crown", "guitar"))


class StandIn(Studio):
    """A studio that draws grey pictures and counts them, and whose scorers see every second class."""

    @property
    def files(self) -> dict[str, lf.LoRA]:  # type: ignore[override]
        delta = LowRank(torch.ones(1, 2), torch.ones(2, 1), 1.0)
        return {name: lf.LoRA(name, {"unet.layer": delta}) for name in world.INDIVIDUALS}

    @property
    def library(self) -> Any:  # type: ignore[override]
        return Shelf()

    def draw(self, prompts: Any, seeds: Any, plan: Any = None) -> Any:
        return np.full((len(prompts), 64, 64, 3), 128, np.uint8)

    def decoded(self, scenes: Any) -> Any:
        return self.draw(scenes, scenes)

    def score(self, shown: Any, prompts: Any, words: Any, names: Any) -> Any:
        assert len(shown) == len(prompts) == len(words) == len(names)
        return [
            {
                "found": {word: n % 2 == 0 for n, word in enumerate([*of, *own.values()])},
                "right": {name: n % 2 == 0 for n, name in enumerate(own)},
                "naturalness": 0.25,
                "clip": 0.5,
            }
            for of, own in zip(words, names, strict=True)
        ]


class Shelf:
    """Keys that differ in one place for each LoRA."""

    names = tuple(world.INDIVIDUALS)

    def keys(self, _: Any) -> Any:
        return torch.eye(len(self.names))


class Encoder:
    """Every text is near the first LoRA's key."""

    id = "stand-in"

    def encode(self, texts: Any) -> Any:
        return torch.eye(len(world.INDIVIDUALS))[:1].expand(len(texts), -1)


def scored(module: Any, given: argparse.Namespace, key: str) -> Any:
    """One cell, drawn and scored by a stand-in."""
    return module.score(StandIn(), key, module.make(StandIn(), given, key))


def options(**given: Any) -> argparse.Namespace:
    return argparse.Namespace(
        **{
            "count": 3, "only": None, "instance": 2, "novel": 1, "pictures": 1, "oracles": None,
            "oracle_pictures": 2, **given,
        }
    )  # fmt: skip


def test_cells_are_made_once_and_by_one_process(tmp_path: Path) -> None:
    made: list[str] = []

    def make(key: str) -> Any:
        made.append(key)
        return {"one": GREY, "two": GREY + ord(key)}

    # A living process holds b, a dead one held c.
    (tmp_path / "b.claim").write_text("1")
    (tmp_path / "c.claim").write_text(str(2**22 + 1))
    assert not fill(tmp_path, ["a", "b", "c"], make)
    assert made == ["a", "c"]
    (tmp_path / "b.claim").unlink()
    assert fill(tmp_path, ["a", "b", "c"], make)
    assert fill(tmp_path, ["a", "b", "c"], make)
    assert made == ["a", "c", "b"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz", "c.npz"]
    assert (load(tmp_path, "b")["two"] == GREY + ord("b")).all()


def test_a_cell_that_fails_is_left_to_others(tmp_path: Path) -> None:
    def fail(key: str) -> Any:
        raise ValueError(key)

    with pytest.raises(ValueError, match="a"):
        fill(tmp_path, ["a"], fail)
    assert (tmp_path / "a.claim").read_text() == str(os.getpid())
    (tmp_path / "a.claim").unlink()
    assert fill(tmp_path, ["a"], lambda _: {"one": GREY})


def test_means_and_intervals() -> None:
    assert mean_of([]) == {"mean": None, "low": None, "high": None, "n": 0}
    assert mean_of([[1, 1], [1]]) == {"mean": 1.0, "low": 1.0, "high": 1.0, "n": 3}
    found = mean_of([[float(n % 2)] for n in range(400)])
    assert found["mean"] == 0.5
    # The standard error is 0.025, so the interval is about 0.049 to each side.
    assert found["low"] == pytest.approx(0.451, abs=0.01)
    assert found["high"] == pytest.approx(0.549, abs=0.01)
    # Four equal values in a set say no more than one of them.
    wide = mean_of([[float(n % 2)] * 4 for n in range(100)])
    assert wide["low"] == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda one: one.label)
def test_contenders_spend_what_they_say(contender: Any) -> None:
    studio = StandIn()
    even = by_hand(studio, "a robot", dict.fromkeys(names_of(SET), 1.0))
    weighed = by_prompt(studio, "a robot", names_of(SET), Encoder())
    plan = contender.plan(weighed if contender.weighed else even, 20)
    published = {"naive": 0.0, "merge": 3.0}.get(contender.method, 1.0)
    want = EQUAL if contender.budget == "equal" else published
    assert spent(plan) == pytest.approx(want)


def test_fusion_weighs_by_the_prompt_and_single_takes_the_best() -> None:
    weighed = by_prompt(StandIn(), "a robot", names_of(SET), Encoder())
    best = torch.tensor([1.0, 0.0, 0.0]).softmax(0)
    assert list(weighed.weights.values()) == pytest.approx(best.tolist())
    single = next(one for one in CONTENDERS if one.method == "single").plan(weighed, 4)
    assert [lora.name for lora in single.loras][int(single.gates[0, 0].argmax())] == "robot"


def test_sets_are_drawn_by_kind_and_a_smaller_draw_is_part_of_a_larger() -> None:
    assert len(drawn(2, "instance", 100)) == 4 * 12  # all there are
    hundred = drawn(4, "instance", 100)
    assert set(drawn(4, "instance", 30)) < set(hundred)
    used = {name for one in hundred for name in names_of(one)}
    assert used == {name for name, one in world.INDIVIDUALS.items() if not one.novel}
    assert {kind_of(one) for one in drawn(3, "novel", 20)} == {"novel"}
    assert drawn(3, "novel", 0) == ()


def test_a_set_is_drawn_by_every_method_and_counted() -> None:
    given = options(pictures=2)
    cells = {key: scored(table, given, key) for key in table.keys(given)}
    assert len(cells) == len(SIZES) * 3
    found = table.rows(cells)["rows"]
    assert {(row["size"], row["kind"]) for row in found} == {
        (size, kind) for size in SIZES for kind in ("instance", "novel")
    }
    merge = next(
        row for row in found
        if (row["size"], row["kind"], row["method"]) == (3, "instance", "merge")
    )  # fmt: skip
    # The stand-in sees the first and the third of three elements, in two sets of two pictures.
    assert merge["identity right"]["mean"] == pytest.approx(2 / 3, abs=1e-4)
    assert merge["identity right"]["n"] == 12
    assert merge["all right"]["mean"] == 0
    assert merge["novel found"]["mean"] is None


@pytest.fixture(autouse=True)
def _no_sentence_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_encoder", Encoder)


def test_a_base_scene_asks_for_three_to_five_known_elements() -> None:
    sizes = set()
    for number in range(200):
        elements = base.scene(number).elements()
        sizes.add(len(elements))
        assert "character" in elements
        assert not any(world.KINDS[one.word].novel for one in elements.values())
        assert not any(one.individual for one in elements.values())
    assert sizes == {3, 4, 5}


@needs_font
def test_base_and_loras_are_counted_by_category_and_arm() -> None:
    given = options()
    cells = {key: scored(base, given, key) for key in base.keys(given)}
    found = base.rows(cells)["rows"]
    assert [row["pictures"] for row in found] == [10, 10, 10]
    assert found[0]["by category"]["character"]["mean"] == 1
    assert found[0]["all found"]["mean"] == 0

    names = ["robot", "volcano"]
    each = {name: scored(loras, given, name) for name in names}
    rows = loras.rows(each)["rows"]
    assert [(row["lora"], row["arm"], row["pictures"]) for row in rows] == [
        ("robot", "with", 3), ("robot", "without", 3), ("volcano", "with", 3),
        ("volcano", "without", 3), ("all", "with", 3), ("all", "without", 3), ("all", "with", 3),
        ("all", "without", 3),
    ]  # fmt: skip
    assert rows[0]["identity right"]["mean"] == 1


@pytest.mark.parametrize("name", ["robot", "crown", "library", "sketch", "volcano"])
def test_a_lora_is_asked_for_among_others(name: str) -> None:
    for number in range(40):
        elements = loras.scene(name, number).elements()
        own = [one for one in elements.values() if one.individual]
        assert [one.word for one in own] == [world.INDIVIDUALS[name].word]
        assert 2 <= len(elements) <= 4
        assert "character" in elements


def test_seeds_of_texts_are_fixed() -> None:
    assert seed_of("base#0") == int.from_bytes(bytes.fromhex(HASH))


HASH = "ae83ca5ad694"


def test_the_page_is_what_the_results_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(results()), "run `python -m benchmarks.pocket`"


def test_a_page_has_all_sections(tmp_path: Path) -> None:
    made = {
        "command": "c", "revision": "r" * 40, "changed files": [], "versions": {"torch": "2"},
        "machine": {"processor": "p"}, "settings": {
            "pictures of each": 3, "pictures of each set": 1, "pictures of a set with an oracle": 2,
        },
    }  # fmt: skip
    given = options()
    cells = {key: scored(table, given, key) for key in table.keys(given)}
    cells[f"{table.MANY}robot+crown"] = cells["robot+crown"] = scored(table, given, "robot+crown")
    each = {name: scored(loras, given, name) for name in ("robot", "volcano")}
    found = {
        "scorers": results()["scorers"],
        "loras": {"provenance": made} | loras.rows(each),
        "table": {"provenance": made} | table.rows(cells),
    }
    text = page(json.loads(json.dumps(found)))
    for title in (
        "## The scorers",
        "## Each LoRA alone",
        "## Methods on sets",
        "### Beside the oracle",
    ):
        assert title in text
    assert "| composite, strength 2 |" in text
    assert "`robot+crown`" in text
