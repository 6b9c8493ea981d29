"""Pins and trigger words: what a prompt says itself about LoRAs, and what it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorafusion.errors import BadOption, UnknownName, UnreadableFile, WrongBase
from lorafusion.library import Catalogue, Library
from lorafusion.methods import plan
from lorafusion.plan import Route
from lorafusion.routing import route
from lorafusion.routing.added import LEAST, MOST, with_triggers
from lorafusion.routing.effects import effects
from tests.library.fakes import CountingEncoder, put


def routed(prompt: str, library: Library | Catalogue, **options: object) -> Route:
    return route(prompt, library, encoder=CountingEncoder(), router="triggers", **options)


def strengths(made: Route) -> dict[str, tuple[float, float]]:
    return {one.name: one.strengths for one in made.chosen}


@pytest.fixture
def wordy(tmp_path: Path) -> Library:
    """LoRAs with trigger words, one of them in a sidecar as the web UI writes it."""
    put(tmp_path / "robot.safetensors", triggers=("rusto robot",))
    put(tmp_path / "crown.safetensors", triggers=("corvina crown", "gold"), seed=1)
    put(tmp_path / "sketch.safetensors", seed=2)
    (tmp_path / "sketch.json").write_text('{"activation text": "<lora:sketch:1>, Skribo"}')
    return Library(tmp_path)


def test_a_pin_beats_the_router_and_its_tag_is_gone(library: Library) -> None:
    made = routed("a dog <lora:crown:0.5:0.8> and <lora:robot>, blue", library)
    assert made.prompt == made.text == "a dog and, blue"
    assert strengths(made) == {"crown": (0.8, 0.5), "robot": (1.0, 1.0)}
    assert all(one.pinned and one.weight == 1.0 for one in made.chosen)
    assert [one.name for one in made.candidates[:2]] == ["crown", "robot"]
    assert sorted(one.name for one in made.candidates) == library.names


def test_the_router_chooses_others_unless_it_is_off(wordy: Library) -> None:
    prompt = "a rusto robot <lora:crown:0.4>"
    assert strengths(routed(prompt, wordy)) == {"crown": (0.4, 0.4), "robot": (1.0, 1.0)}
    only = routed(prompt, wordy, pinned_only=True)
    assert strengths(only) == {"crown": (0.4, 0.4)}
    assert {one.left_out for one in only.candidates if not one.pinned} == {
        "the prompt does not pin it"
    }
    assert only.router == "off (pinned only)"
    assert routed("a rusto robot", wordy, pinned_only=True).chosen == ()


def test_no_vector_is_made_when_the_router_is_off(wordy: Library) -> None:
    encoder = CountingEncoder()
    route("a dog <lora:robot>", wordy, encoder=encoder, pinned_only=True)
    assert encoder.asked == []


@pytest.mark.parametrize("name", ["crown", " crown ", "crown.safetensors"])
def test_spellings_of_a_name(name: str, library: Library) -> None:
    assert strengths(routed(f"a dog <lora:{name}:2>", library))["crown"] == (2, 2)


def test_a_name_with_signs_is_found_without_them(tmp_path: Path) -> None:
    put(tmp_path / "gold: <crown>.safetensors")
    made = routed("a dog <lora:gold crown:0.5>", Library(tmp_path))
    assert strengths(made) == {"gold: <crown>": (0.5, 0.5)}


@pytest.mark.parametrize("name", ["crwn", "CROWN", "crowns.safetensors"])
def test_an_unknown_name_is_met_with_the_nearest(name: str, library: Library) -> None:
    with pytest.raises(UnknownName, match="in the prompt: Unknown LoRA.*Did you mean 'crown'"):
        routed(f"a dog <lora:{name}>", library)


def test_of_many_loras_the_near_ones_are_named(tmp_path: Path) -> None:
    for name in ("style/robot", "toy/robot", *(f"thing-{i}" for i in range(50))):
        put(tmp_path / f"{name}.safetensors", seed=len(name))
    with pytest.raises(UnknownName) as caught:
        routed("a dog <lora:robots>", Library(tmp_path))
    told = str(caught.value)
    assert "robot'" in told
    assert "and 12 more" in told
    assert "\n" not in told


def test_one_lora_under_two_spellings_is_refused(library: Library) -> None:
    with pytest.raises(BadOption, match="pins 'crown' twice"):
        routed("a dog <lora:crown> <lora:crown.safetensors>", library)


def test_tags_alone_are_no_prompt(library: Library) -> None:
    with pytest.raises(BadOption, match="the prompt is empty"):
        routed("<lora:crown>", library)


def test_a_pinned_file_that_was_left_out_is_an_error(tmp_path: Path) -> None:
    put(tmp_path / "robot.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "robot.safetensors").read_bytes()[:-9])
    library = Library(tmp_path, lenient=True)
    with pytest.raises(UnreadableFile, match="cut"):
        routed("a dog <lora:cut:1>", library)
    library.foreign = library.skipped = {"flux": "is for flux, not for sd15"}
    with pytest.raises(WrongBase, match="not for sd15"):
        routed("a dog <lora:flux:1>", library)


def test_descriptions_can_be_pinned_too(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[[lora]]\nname = "robot"\n[[lora]]\nname = "cat"\n')
    made = routed("a dog <lora:cat:0.3>", Catalogue(tmp_path / "a.toml"))
    assert strengths(made) == {"cat": (0.3, 0.3)}
    with pytest.raises(UnknownName, match="Did you mean 'robot'"):
        routed("a dog <lora:robt>", Catalogue(tmp_path / "a.toml"))


def test_a_preferred_strength_is_what_one_means_unless_a_pin_says_another(tmp_path: Path) -> None:
    put(tmp_path / "robot.safetensors", triggers=("robot",))
    (tmp_path / "robot.json").write_text('{"preferred weight": 0.6}')
    library = Library(tmp_path)
    (one,) = routed("a robot", library).chosen
    assert (one.weight, one.strengths, one.pinned) == (1.0, (0.6, 0.6), False)
    (one,) = routed("a robot <lora:robot:0.9>", library).chosen
    assert (one.weight, one.strengths, one.pinned) == (1.0, (0.9, 0.9), True)
    (one,) = routed("a robot", library).with_weights({"robot": 0.8}).chosen
    assert (one.weight, one.strengths) == (0.8, (1.0, 1.0))


def test_single_takes_a_pinned_one_before_a_better_score(wordy: Library) -> None:
    made = routed("a rusto robot <lora:sketch:0.3>", wordy)
    assert plan("single", made, steps=1).gates.tolist() == [[[pytest.approx(0.3), 0.0]]]


def test_triggers_are_added_where_the_prompt_lacks_them(wordy: Library) -> None:
    made = routed("a Robot in the rain <lora:robot> <lora:crown:0.9> <lora:sketch>", wordy)
    assert made.text == "a Robot in the rain"
    assert made.prompt == "a rusto Robot in the rain, corvina crown, gold, Skribo"
    assert made.added == ("rusto robot", "corvina crown", "gold", "Skribo")
    assert with_triggers(made).prompt == made.prompt


def test_triggers_that_are_there_are_not_added(wordy: Library) -> None:
    made = routed("a RUSTO  robot, gold, a Corvina Crown <lora:robot> <lora:crown>", wordy)
    assert (made.prompt, made.added) == (made.text, ())


def test_no_triggers_of_a_lora_that_hardly_acts(wordy: Library) -> None:
    for strength in (-1, 0, LEAST / 2):
        assert routed(f"a dog <lora:robot:{strength}>", wordy).added == ()
    assert routed(f"a dog <lora:robot:{LEAST}>", wordy).added == ("rusto robot",)


def test_of_a_long_list_of_triggers_the_first_count(tmp_path: Path) -> None:
    words = tuple(f"word{i}" for i in range(9))
    put(tmp_path / "robot.safetensors", triggers=words)
    assert routed("a dog <lora:robot>", Library(tmp_path)).added == words[:MOST]
    assert routed("a word1 <lora:robot>", Library(tmp_path)).added == ("word0", "word2")


def test_triggers_can_be_left_alone(wordy: Library) -> None:
    made = routed("a robot <lora:robot>", wordy, triggers=False)
    assert (made.prompt, made.added) == ("a robot", ())


def test_no_phrase_changes_a_pin(wordy: Library) -> None:
    made = routed("a rusto robot in the rain <lora:crown:0.7>", wordy)
    found = effects(made, lambda rest: routed(rest, wordy, triggers=False))
    changes = [one.changes for one in found if one.changes]
    assert changes == [{"robot": 1.0}]
