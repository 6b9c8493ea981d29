from __future__ import annotations

import json
from pathlib import Path

import pytest

from lorafusion.errors import UnreadableFile
from lorafusion.library.card import Card, sentence
from lorafusion.library.civitai import LIMIT, opening, plain
from lorafusion.library.sidecars import preview_of, read_sidecars


@pytest.fixture
def lora(tmp_path: Path) -> Path:
    """A LoRA with a dot in its stem, as many have; it is not read, so that it need not exist."""
    return tmp_path / "robot_v1.0.safetensors"


def beside(lora: Path, suffix: str, content: object) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (lora.parent / (lora.stem + suffix)).write_text(text, encoding="utf-8")


def test_no_sidecar_says_nothing(lora: Path) -> None:
    assert read_sidecars(lora) == Card()


def test_half_a_character_says_nothing(lora: Path) -> None:
    """JSON can spell it, no tokenizer takes it, and it would keep the whole folder from routing."""
    words = {"description": "a robot \ud83d", "activation text": "rbt\udce9", "category": "\ud800"}
    beside(lora, ".json", words)
    card = read_sidecars(lora)
    assert card == Card("a robot ?. rbt?", "?", ("rbt?",))
    assert all(text.encode("utf-8") for text in (card.text, card.category, *card.triggers))


def test_automatic1111(lora: Path) -> None:
    beside(
        lora,
        ".json",
        {
            "description": "a silver robot",
            "activation text": "rbt, metal",
            "category": "character",
            "preferred weight": 0,
        },
    )
    assert read_sidecars(lora) == Card("a silver robot. rbt, metal", "character", ("rbt", "metal"))


def test_civitai_info(lora: Path) -> None:
    beside(
        lora,
        ".civitai.info",
        {
            "model": {"name": "Silver Robot", "type": "LORA"},
            "trainedWords": ["rbt, metal", "rbt"],
            "description": "<p>A <b>friendly</b> robot&nbsp;made<br>of tin</p><script>x()</script>",
        },
    )
    text = "Silver Robot. rbt, metal. A friendly robot made of tin"
    assert read_sidecars(lora) == Card(text, "", ("rbt", "metal"))


def test_civitai_info_falls_back_to_the_description_of_the_model(lora: Path) -> None:
    beside(
        lora,
        ".civitai.info",
        {"model": {"name": "Robot", "description": "tin"}, "description": None},
    )
    assert read_sidecars(lora).text == "Robot. tin"


def test_lora_manager(lora: Path) -> None:
    beside(
        lora,
        ".metadata.json",
        {
            "model_name": "Robot",
            "tags": ["metal", "toy"],
            "notes": "my favourite",
            "modelDescription": "<p>of tin</p>",
            "civitai": {"trainedWords": ["rbt"]},
        },
    )
    assert read_sidecars(lora) == Card("Robot. rbt. metal, toy. my favourite", "", ("rbt",))


def test_plain_text(lora: Path) -> None:
    beside(lora, ".txt", "\ufeffa silver\n   robot \n")
    assert read_sidecars(lora).text == "a silver robot"


def test_the_order_of_sidecars_counts_for_each_field(lora: Path) -> None:
    beside(lora, ".txt", "from txt")
    beside(lora, ".metadata.json", {"model_name": "from manager", "category": "style"})
    beside(lora, ".civitai.info", {"model": {"name": "from civitai"}, "trainedWords": ["w"]})
    beside(lora, ".json", {"description": "from a1111"})
    assert read_sidecars(lora) == Card("from a1111", "style", ("w",))
    (lora.parent / "robot_v1.0.json").unlink()
    assert read_sidecars(lora).text == "from civitai. w"
    (lora.parent / "robot_v1.0.civitai.info").unlink()
    assert read_sidecars(lora).text == "from manager"
    (lora.parent / "robot_v1.0.metadata.json").unlink()
    assert read_sidecars(lora).text == "from txt"


def test_json_about_something_else_says_nothing(lora: Path) -> None:
    beside(lora, ".json", {"learning_rate": 0.1, "description": None, "activation text": 3})
    assert read_sidecars(lora) == Card()


@pytest.mark.parametrize("suffix", [".json", ".civitai.info", ".metadata.json"])
@pytest.mark.parametrize("content", ['{"description": "a', "[1, 2]", ""])
def test_a_sidecar_that_cannot_be_parsed_is_named_in_one_line(
    lora: Path, suffix: str, content: str
) -> None:
    beside(lora, suffix, content)
    with pytest.raises(UnreadableFile, match="mend or remove this sidecar") as caught:
        read_sidecars(lora)
    assert f"robot_v1.0{suffix}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_sidecar_that_is_not_text_is_named(lora: Path) -> None:
    (lora.parent / "robot_v1.0.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnreadableFile, match=r"robot_v1\.0\.txt: cannot be read as UTF-8"):
        read_sidecars(lora)


def test_a_long_description_is_cut_between_words() -> None:
    about = "word " * 200
    cut = opening(about.strip())
    assert len(cut) <= LIMIT
    assert set(cut.split()) == {"word"}
    assert opening("x" * 999) == "x" * LIMIT
    assert opening("short") == "short"


def test_text_of_html() -> None:
    assert plain("no tags &amp; all") == "no tags & all"
    assert plain("a<i>b</i>c<li>d</li><style>p{}</style>") == "abc d"


def test_a_sentence_says_nothing_twice() -> None:
    assert sentence(["Robot", "robot", "a ROBOT, of tin."]) == "a ROBOT, of tin"
    assert sentence(["a robot of tin", "of, tin", "", "tin man"]) == "a robot of tin. tin man"
    assert sentence(["robotic", "robot"]) == "robotic. robot"


@pytest.mark.parametrize(
    ("suffix", "content", "strength"),
    [
        (".json", {"preferred weight": 0.6}, 0.6),
        (".json", {"preferred weight": 0}, None),
        (".json", {"preferred weight": "0.6"}, None),
        (".json", '{"preferred weight": NaN}', None),
        (".json", '{"preferred weight": 1' + "0" * 400 + "}", None),
        (".metadata.json", {"usage_tips": '{"strength": 0.8}'}, 0.8),
        (".metadata.json", {"usage_tips": {"strength": -1}}, -1.0),
        (".metadata.json", {"usage_tips": "{"}, None),
        (".metadata.json", {"usage_tips": "[1]"}, None),
    ],
)
def test_the_preferred_strength(
    lora: Path, suffix: str, content: object, strength: float | None
) -> None:
    beside(lora, suffix, content)
    assert read_sidecars(lora).strength == strength


def test_the_preview_of_the_web_interfaces_goes_before_other_pictures(lora: Path) -> None:
    assert preview_of(lora) is None
    for suffix in (".webp", ".png", ".preview.jpg"):
        beside(lora, suffix, "")
        assert preview_of(lora) == lora.parent / (lora.stem + suffix)
