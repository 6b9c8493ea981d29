"""Tags in prompts: what is read, what is refused, what stays text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorafusion.errors import BadOption
from lorafusion.routing.tags import SIGNS, Tag, parsed, without_signs

LETTERS = st.characters(blacklist_categories=["Cs"])
NAMES = st.text(LETTERS.filter(lambda sign: sign not in SIGNS), min_size=1, max_size=20)
WEIGHTS = st.floats(-1e6, 1e6)
TAGS = st.builds(Tag, NAMES, WEIGHTS, WEIGHTS)


@given(st.lists(TAGS, max_size=4, unique_by=lambda tag: tag.name))
def test_what_is_written_is_read(tags: list[Tag]) -> None:
    text, found = parsed(f"a robot {' '.join(map(str, tags))} wearing a crown")
    assert found == tuple(tags)
    assert " ".join(text.split()) == "a robot wearing a crown"


@given(st.text(LETTERS, max_size=60))
def test_text_is_left_alone_and_nothing_breaks(text: str) -> None:
    try:
        found, tags = parsed(text)
    except BadOption:
        return
    if not tags:
        assert found == text


@given(st.text(st.sampled_from("<>:lora ,1.\n"), max_size=30))
def test_no_tag_is_left_over(text: str) -> None:
    try:
        rest, _ = parsed(text)
    except BadOption:
        return
    assert parsed(rest) == (rest, ())


@pytest.mark.parametrize(
    ("tag", "text_weight", "weight"),
    [
        ("<lora:x>", 1.0, 1.0),
        ("<lora:x:0.8>", 0.8, 0.8),
        ("<lora:x:-.5>", -0.5, -0.5),
        ("<LoRA:x: 1e-1 >", 0.1, 0.1),
        ("<lyco:x:0.5:0.8>", 0.5, 0.8),
        ("<lora:x:te=0.5:unet=0.8>", 0.5, 0.8),
        ("<lora:x:unet=0.8:te=0.5>", 0.5, 0.8),
        ("<lora:x:0.5:unet=0.8>", 0.5, 0.8),
        ("<lora:x:te=0.5>", 0.5, 0.5),
        ("<lora:x:unet=0.8>", 1.0, 0.8),
    ],
)
def test_weights_as_the_web_ui_reads_them(tag: str, text_weight: float, weight: float) -> None:
    assert parsed(f"a {tag} b") == ("a b", (Tag("x", weight, text_weight),))


@pytest.mark.parametrize(
    "tag",
    [
        "<lora:x",
        "<lora:x:0.8 and <3",
        "<lora:>",
        "<lora::0.8>",
        "<lora:x:>",
        "<lora:x:much>",
        "<lora:x:nan>",
        "<lora:x:1e999>",
        "<lora:x:1_0>",
        "<lora:x:1:1:8>",
        "<lora:x:dyn=8>",
        "<lora:x:1:lbw=IN03>",
        "<lora:x:0.5@0,1@0.5>",
        "<lora:x:0.5:te=0.5>",
        "<lora:x:te=1:te=1>",
        "<lora:x> <lora:x:0.5>",
    ],
)
def test_half_a_tag_is_refused_in_one_line(tag: str) -> None:
    with pytest.raises(BadOption) as caught:
        parsed(f"a robot {tag} b")
    assert "x" in str(caught.value) or "no name" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["I <3 robots", "<lora>", "<lora x>", "a <b>, <hypernet:x:1>", "lora:x:1", "", "  a  ,"]
)
def test_other_text_stays(text: str) -> None:
    assert parsed(text) == (text, ())


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("<lora:x> a robot", "a robot"),
        ("<lora:x>, a robot", "a robot"),
        ("a robot, <lora:x:1>", "a robot"),
        ("a robot, <lora:x>, <lora:y>, blue", "a robot, blue"),
        ("a robot <lora:x>, blue", "a robot, blue"),
        ("a robot<lora:x>wearing", "a robot wearing"),
        ("a robot\n<lora:x>\nblue", "a robot\n\nblue"),
        ("<lora:x>", ""),
    ],
)
def test_what_is_left_reads_well(prompt: str, text: str) -> None:
    assert parsed(prompt)[0] == text


def test_signs_that_no_tag_can_hold() -> None:
    assert without_signs("gold: <crown>, 2") == "gold crown, 2"
