from __future__ import annotations

import json

import pytest

from lorafusion.library.card import Card
from lorafusion.library.headers import TAGS, card_of_header

MODELSPEC = {
    "modelspec.title": "Tin Robot",
    "modelspec.description": "a <b>silver</b> robot",
    "modelspec.trigger_phrase": "rbt",
    "modelspec.tags": "metal, toy",
}
FREQUENCY = {"ss_tag_frequency": json.dumps({"1_a": {"tin": 3, "shiny": 5}, "2_b": {"tin": 4}})}


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        (MODELSPEC, "Tin Robot. a silver robot. rbt. metal, toy"),
        ({"instance_prompt": "a photo of sks robot"}, "a photo of sks robot"),
        (FREQUENCY, "tin, shiny"),
        ({"ss_output_name": "SilverRobot_v2"}, "Silver Robot"),
        ({"modelspec.title": "robot_v2", "ss_output_name": "robot_v2"} | FREQUENCY, "tin, shiny"),
        ({"modelspec.title": "robot_v2", "ss_output_name": "robot_v2"}, "robot"),
        ({"instance_prompt": "None", "ss_output_name": "robot"}, "robot"),
        ({"ss_tag_frequency": "{", "ss_output_name": "robot"}, "robot"),
        ({"ss_tag_frequency": '{"a": [1], "b": {"x": "y"}}', "ss_output_name": "robot"}, "robot"),
        ({"format": "pt"}, ""),
    ],
)
def test_text_of_a_header(metadata: dict[str, str], text: str) -> None:
    assert card_of_header(metadata).text == text


def test_the_order_inside_a_header() -> None:
    everything = MODELSPEC | FREQUENCY | {"instance_prompt": "sks", "ss_output_name": "out"}
    for gone, text in [
        ("modelspec", "Tin Robot. a silver robot. rbt. metal, toy"),
        ("instance_prompt", "sks"),
        ("ss_tag_frequency", "tin, shiny"),
        ("ss_output_name", "out"),
    ]:
        assert card_of_header(everything).text == text
        everything = {key: value for key, value in everything.items() if not key.startswith(gone)}
    assert card_of_header(everything) == Card()


def test_only_the_most_frequent_tags_count_and_ties_go_by_name() -> None:
    tags = {f"tag{i:02}": 5 for i in reversed(range(20))} | {"top": 9, "never": 0}
    text = card_of_header({"ss_tag_frequency": json.dumps({"d": tags})}).text
    assert text.split(", ") == ["top", *(f"tag{i:02}" for i in range(TAGS - 1))]


def test_category_and_triggers_of_a_header() -> None:
    card = card_of_header({"lorafusion.category": "character", "modelspec.trigger_phrase": "a, b"})
    assert (card.category, card.triggers) == ("character", ("a", "b"))
