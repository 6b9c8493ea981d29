"""The speed benchmark: every experiment runs and agrees with its peer; the page says what was measured."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
import torch

from benchmarks.speed.__main__ import PAGE, PICTURE, RESULTS, _cases, _parser
from benchmarks.speed.clock import Timings, paired
from benchmarks.speed.experiments import CASES, EXPERIMENTS, run, small
from benchmarks.speed.goals import GOALS
from benchmarks.speed.loads import TURNS
from benchmarks.speed.models import bench, random_lora, targets, twin
from benchmarks.speed.page import page
from benchmarks.speed.picture import picture

SMALL = {case.experiment: replace(small(case), rounds=1) for case in CASES}


@pytest.fixture(autouse=True)
def quiet() -> Any:
    logger = logging.getLogger("diffusers")
    before = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(before)


@pytest.mark.parametrize("experiment", sorted(EXPERIMENTS))
def test_every_experiment_runs_and_agrees_with_its_peer(experiment: str) -> None:
    found = run(SMALL[experiment])
    text = json.dumps(found)
    assert "NaN" not in text or experiment in ("step", "layers")  # tiny layers take no time
    for name in ("difference from peft", "difference from the loop", "difference from one by one"):
        if name in found:
            seen = found[name]
            ours = [seen] if isinstance(seen, float) else [seen["inject"], seen["fold"]]
            assert max(ours) <= 1e-5
            assert isinstance(seen, float) or seen["base"] > 1e-4  # the LoRAs do something
    if experiment == "composite":
        assert found["denoiser calls a step"] == 1
    if experiment == "drift":
        assert found["share of weights changed"]["fold"] == 0
        assert found["share of weights changed"]["unfuse, set, fuse"] > 0.01
    if experiment == "loads":
        assert found["read by us"] == 2 * TURNS + 1
        assert found["first: times faster"]["median"] > 0


def test_a_twin_has_the_very_same_weights() -> None:
    one = bench("tiny")
    other = twin(one)
    for mine, theirs in zip(one.unet.parameters(), other.unet.parameters(), strict=True):
        assert mine.data_ptr() == theirs.data_ptr()
    assert torch.equal(one.call(1)(), other.call(1)())
    assert len(random_lora(one.unet, 0).deltas) == len(targets(one.unet)) > 10


def test_rounds_run_every_variant_once_in_an_order_that_rotates() -> None:
    order: list[str] = []
    variants = {name: lambda name=name: order.append(name) for name in "abc"}
    timings = paired(variants, rounds=3, warm=1)
    assert "".join(order) == "cababcbcacab"
    assert all(len(times) == 3 for times in timings.process.values())


def test_ratios_are_of_rounds_and_overheads_of_medians() -> None:
    timings = Timings({"base": [1.0, 2.0, 1.0], "ours": [1.1, 2.4, 1.1], "peer": [2.0, 4.0, 2.0]})
    assert timings.ratio("ours", "base") == {"median": 1.1, "least": 1.1, "most": 1.2}
    share = timings.overheads("ours", "peer", "base")
    assert share["median"] == pytest.approx(0.1)
    assert share["most"] == pytest.approx(0.2)
    equal = Timings({"base": [1.0], "ours": [1.0], "peer": [1.0]})
    assert equal.overheads("ours", "peer", "base")["median"] != 0  # nothing to take a share of


def test_options_pick_a_case_or_make_one() -> None:
    def cases(*words: str) -> Any:
        return _cases(_parser().parse_args(list(words)))

    assert cases() == list(CASES)
    assert [case.latent for case in cases("--only", "layers")] == [32, 16, 64]
    (one,) = cases("--only", "layers", "--latent", "64", "--rounds", "1")
    assert (one.loras, one.latent, one.rounds) == (3, 64, 1)
    (other,) = cases("--only", "step", "--model", "sdxl", "--device", "cuda", "--dtype", "float16")
    assert (other.model, other.device, other.dtype) == ("sdxl", "cuda", "float16")
    assert {case.model for case in cases("--dry")} == {"tiny"}


@pytest.fixture(scope="module")
def rows() -> Any:
    return json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]


def test_the_page_is_what_the_results_say(rows: Any) -> None:
    message = "run `python -m benchmarks.speed --pages`"
    assert PAGE.read_text(encoding="utf-8") == page(rows), message
    assert PICTURE.read_text(encoding="utf-8") == picture(rows), message
    ElementTree.fromstring(PICTURE.read_text(encoding="utf-8"))  # noqa: S314 - our own file


def test_results_say_where_they_come_from(rows: Any) -> None:
    for row in rows:
        assert {"command", "revision", "versions", "machine"} <= row["provenance"].keys()
        assert row["malloc"] in ("default", "tuned")
        assert "peft" in row["provenance"]["versions"]


def test_a_goal_that_was_missed_is_shown_as_missed(rows: Any) -> None:
    goal = next(goal for goal in GOALS if any(goal.takes(row) for row in rows))
    row = json.loads(json.dumps(next(row for row in rows if goal.takes(row))))
    assert goal.title in page([row])
    verdicts = {replace(goal, bound=bound, most=most).held(row)
                for bound in (0, 1e9) for most in (True, False)}  # fmt: skip
    assert verdicts == {True, False}
