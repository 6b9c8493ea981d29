"""The default router, with the encoder that comes along and with encoders that tests make up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lorafusion.errors import BadOption, NotWritable, UnknownName
from lorafusion.library import Encoder
from lorafusion.library.described import Described
from lorafusion.plan import Candidate, Route
from lorafusion.routing import ENCODERS, PipelineEncoder, calibration
from lorafusion.routing.effects import effects
from lorafusion.routing.keyring import key_texts
from lorafusion.routing.measure import measure
from lorafusion.routing.phrasewise import phrases
from tests import tiny
from tests.library.fakes import CountingEncoder

CATEGORIES = {
    "character": "robot cat lion",
    "clothing": "crown scarf",
    "object": "guitar umbrella",
    "background": "library forest",
    "style": "watercolor",
}
LORAS = tuple(
    Described(name, category, name, ())
    for category, names in CATEGORIES.items()
    for name in names.split()
)
IRRELEVANT = (
    Described("volcano", "background", "an erupting volcano", ("lava",)),
    Described("sonar", "object", "a submarine's sonar screen", ()),
    Described("xq7", "", "xq7 v2", ("zzqx",)),
)


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    return ENCODERS["minilm"]()


def ask(
    prompt: str, encoder: Encoder, loras: tuple[Described, ...] = LORAS, **options: Any
) -> Route:
    return phrases(prompt, loras, np.zeros((len(loras), 1)), encoder, **options)


@pytest.mark.parametrize(
    "prompt", ["a robot in sketch style", "a sketch of a robot", "robot, sketch"]
)
def test_a_lora_named_by_a_word_that_frames_is_asked_for_by_it(
    prompt: str, minilm: Encoder
) -> None:
    drawn = Described("sketch", "style", "a blue ballpoint drawing, hatched where it is dark", ())
    assert set(ask(prompt, minilm, (*LORAS, drawn)).weights) == {"robot", "sketch"}
    assert set(ask("a robot, no sketch", minilm, (*LORAS, drawn)).weights) == {"robot"}
    kept = ask("a sketch of a robot", minilm, (*LORAS, drawn), negative="sketch")
    assert set(kept.weights) == {"robot"}


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a robot with a guitar wearing a crown in a library", "robot guitar crown library"),
        ("a lion and a robot in the forest", "lion robot forest"),
        ("a kitten, watercolour painting", "cat watercolor"),
        ("CATS in a FOREST", "cat forest"),
        ("cat, cat, cat", "cat"),
        ("a cat with an umbrela", "cat umbrella"),
        ("a cat without an umbrella", "cat"),
        ("a lion, no crown, no scarf", "lion"),
        ("without an umbrella", ""),
        ("not a forest but a library", "library"),
        ("a red sports car on a bridge", ""),
        ("a bowl of soup", ""),
        ("word " * 400 + "and a robot", "robot"),
        ("the of a", ""),
        ("☂", ""),
    ],
)
def test_what_is_chosen(prompt: str, expected: str, minilm: Encoder) -> None:
    assert set(ask(prompt, minilm).weights) == set(expected.split())


def test_a_clearly_asked_lora_acts_fully_alone_and_among_others(minilm: Encoder) -> None:
    for prompt in ("a robot", "a robot with a guitar wearing a crown in a library"):
        route = ask(prompt, minilm)
        assert route.weights["robot"] == pytest.approx(1, abs=0.05)
        assert route.chosen[0].phrase


def test_stress_scales(minilm: Encoder) -> None:
    plain, loud = ask("robot, crown", minilm), ask("(robot:1.3), crown", minilm)
    assert loud.weights["robot"] == pytest.approx(1.3 * plain.weights["robot"], abs=1e-3)
    assert loud.weights["crown"] == plain.weights["crown"]


def test_budgets(minilm: Encoder) -> None:
    prompt = "a robot with a guitar wearing a crown in a library"
    full, balanced, paper = (
        sum(ask(prompt, minilm, budget=budget).weights.values())
        for budget in ("full", "balanced", "paper")
    )
    assert full == pytest.approx(4, abs=0.2)
    assert balanced == pytest.approx(full**0.5)
    assert paper == pytest.approx(1)


def test_the_reasons(minilm: Encoder) -> None:
    route = ask("a cat without an umbrella", minilm, negative="a lion")
    reasons = {one.name: one.left_out for one in route.candidates}
    assert "denies 'umbrella'" in reasons["umbrella"]
    assert "negative prompt says 'lion'" in reasons["lion"]
    assert "no phrase asks for it" in reasons["library"]
    assert all(one.margin > 0 for one in route.chosen)
    assert all(one.margin <= 0 for one in route.candidates if one.left_out)


def test_the_negative_prompt_wins(minilm: Encoder) -> None:
    assert set(ask("robot, crown", minilm, negative="crown, blurry").weights) == {"robot"}


def test_top_k_keeps_the_surest(minilm: Encoder) -> None:
    route = ask("(robot:0.5), crown, library", minilm, top_k=2)
    assert set(route.weights) == {"crown", "library"}
    assert {one.left_out for one in route.candidates if one.name == "robot"} == {
        "not among the best 2"
    }


def test_one_category_competes_for_one_phrase(minilm: Encoder) -> None:
    two = (
        Described("tabby", "character", "a cat", ()),
        Described("kitten", "character", "a kitten", ()),
        Described("hall", "background", "a library", ()),
    )
    route = ask("a kitten in a library", minilm, two)
    assert set(route.weights) == {"kitten", "hall"}
    lost = next(one for one in route.candidates if one.name == "tabby")
    assert "asks for kitten" in lost.left_out


def test_triggers_and_the_beginning_of_a_text_are_keys() -> None:
    one = Described("SilverBot_v2", "", "A silver robot. Limited to indoor scenes", ("slvbt",))
    assert key_texts(one) == (
        "a silver robot. limited to indoor scenes",
        "slvbt",
        "silver bot",
        "a silver robot",
    )


@pytest.mark.parametrize("trigger", ["slvbt", "ohwx man", "银色机器人"])
def test_a_trigger_is_enough_whatever_the_encoder(trigger: str) -> None:
    loras = (Described("a", "character", "somebody", (trigger,)), *LORAS)
    assert list(ask(f"{trigger}, best quality", CountingEncoder(), loras).weights) == ["a"]


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.permutations(range(len(LORAS))),
    st.sampled_from(["a lion and a cat", "robot, (crown:1.2)", "soup"]),
)
def test_order_does_not_matter(order: list[int], prompt: str) -> None:
    encoder = CountingEncoder("order@1", 32)
    shuffled = tuple(LORAS[i] for i in order)
    assert summary(ask(prompt, encoder, shuffled)) == summary(ask(prompt, encoder))


@given(st.sampled_from(LORAS), st.integers(1, 4))
@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_duplicate_keys_do_not_matter(lora: Described, times: int) -> None:
    encoder = CountingEncoder("order@1", 32)
    repeated = Described(lora.name, lora.category, lora.text, (lora.text,) * times)
    loras = tuple(repeated if one is lora else one for one in LORAS)
    prompt = f"a {lora.name} and a lion"
    assert summary(ask(prompt, encoder, loras)) == summary(ask(prompt, encoder))


@pytest.mark.parametrize(
    "prompt", ["a robot and a lion in a library", "a cat", "umbrella, watercolor"]
)
def test_an_irrelevant_lora_changes_no_weight(prompt: str, minilm: Encoder) -> None:
    before = ask(prompt, minilm).weights
    after = ask(prompt, minilm, LORAS + IRRELEVANT).weights
    assert set(after) == set(before)
    assert all(after[name] == pytest.approx(weight, rel=0.05) for name, weight in before.items())


@given(
    st.lists(
        st.lists(
            st.sampled_from(["lion", "castle", "red", "scarf", "old", "robot", "snow", "paper"]),
            min_size=1,
            max_size=4,
            unique=True,  # a word said twice is heard once, so "snow snow" would be "snow"
        ).map(" ".join),
        min_size=1,
        max_size=6,
        unique_by=lambda text: frozenset(text.split()),
    )
)
@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_prompt_that_is_a_lora_s_text_picks_it_first(texts: list[str]) -> None:
    loras = tuple(Described(f"n{i}", "character", text, ()) for i, text in enumerate(texts))
    for one in loras:
        best = ask(one.text, CountingEncoder("text@1", 32), loras).candidates[0]
        assert best.name == one.name
        assert not best.left_out
        assert best.score >= calibration.DEFAULT.threshold


def test_no_lora_and_one_lora(minilm: Encoder) -> None:
    assert ask("a robot", minilm, ()).candidates == ()
    assert set(ask("a robot", minilm, LORAS[:1]).weights) == {"robot"}
    assert ask("a bowl of soup", minilm, LORAS[:1]).chosen == ()


@pytest.mark.parametrize("options", [{"top_k": 0}, {"threshold": float("nan")}])
def test_options_out_of_range(options: dict[str, Any], minilm: Encoder) -> None:
    with pytest.raises(BadOption):
        ask("robot", minilm, **options)
    with pytest.raises(UnknownName, match="Did you mean 'full'"):
        ask("robot", minilm, budget="ful")


def test_the_text_encoder_of_a_pipeline_will_do() -> None:
    route = ask("a robot in a library", PipelineEncoder(tiny.pipeline("sd")))
    assert {"robot", "library"} <= set(route.weights)


def test_leaving_a_phrase_out(minilm: Encoder) -> None:
    route = ask("a robot in a library", minilm)
    found = effects(route, lambda prompt: ask(prompt, minilm))
    assert [(one.phrase, list(one.changes)) for one in found] == [
        ("robot", ["robot"]),
        ("library", ["library"]),
    ]
    assert found[0].changes["robot"] == pytest.approx(route.weights["robot"])


def test_a_word_that_else_frames_is_left_out_where_it_asked_for_a_lora() -> None:
    one = Candidate(Described("sketch", "style", "a sketch", ()), 3.0, 1.0, "Sketch")
    found = effects(Route("a robot, Sketch", (one,)), lambda prompt: Route(prompt, ()))
    assert [each.phrase for each in found] == ["robot", "Sketch"]


def test_what_ships_for_minilm_is_what_is_measured(minilm: Encoder) -> None:
    measured = measure(minilm)
    assert measured.calibration.threshold == pytest.approx(calibration.DEFAULT.threshold, abs=0.05)
    assert measured.calibration.slope == pytest.approx(calibration.DEFAULT.slope, abs=0.05)
    assert measured.best > 0.85


def test_what_was_measured_is_used_and_damage_is_forgotten(cache: Path) -> None:
    encoder = CountingEncoder("measured@1")
    assert calibration.calibration_of(encoder) == calibration.DEFAULT
    made = calibration.Calibration(3.0, 0.5)
    path = calibration.store(encoder, made)
    calibration.store(CountingEncoder("other@1"), calibration.DEFAULT)
    assert path.parent == cache
    assert calibration.calibration_of(encoder) == made
    for damaged in ("{", "[]", json.dumps({"measured@1": {"threshold": "x", "slope": 1}})):
        path.write_text(damaged)
        assert calibration.calibration_of(encoder) == calibration.DEFAULT


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LORAFUSION_CACHE", str(tmp_path / "file"))
    with pytest.raises(NotWritable, match="LORAFUSION_CACHE"):
        calibration.store(CountingEncoder(), calibration.DEFAULT)


def summary(route: Route) -> list[tuple[str, float, str, bool]]:
    return [(c.name, round(c.weight, 3), c.phrase, bool(c.left_out)) for c in route.candidates]
