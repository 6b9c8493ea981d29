from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorafusion.errors import BadOption, NotWritable, UnreadableFile
from lorafusion.library.card import Card
from lorafusion.library.edit import edit_settings
from lorafusion.library.settings import FILE, Said, read_settings

BY_HAND = """# mine

[lora.robot]  # the tin one
text = "a robot"
triggers = [
    "rbt",  # first
    "tin",
]

# blue things
[lora."style/blue"]
strength = 0.5
"""


def edited(folder: Path, before: str, name: str, **fields: object) -> str:
    (folder / FILE).write_text(before)
    edit_settings(folder, name, fields)  # type: ignore[arg-type]  # any value, on purpose
    return (folder / FILE).read_text()


def test_the_first_words_make_the_file(tmp_path: Path) -> None:
    path = edit_settings(tmp_path, "robot v1.0", {"text": 'a "robot"', "strength": 0.8})
    assert path.read_text() == '[lora."robot v1.0"]\ntext = "a \\"robot\\""\nstrength = 0.8\n'
    assert read_settings(tmp_path) == {"robot v1.0": Said(Card('a "robot"', strength=0.8))}
    assert list(tmp_path.iterdir()) == [path]


def test_only_what_is_asked_for_changes(tmp_path: Path) -> None:
    after = edited(tmp_path, BY_HAND, "robot", triggers=("a", "b"), category="character")
    many = 'triggers = [\n    "rbt",  # first\n    "tin",\n]\n\n# blue things\n'
    one = 'triggers = ["a", "b"]\n\n# blue things\ncategory = "character"\n'
    assert after == BY_HAND.replace(many, one)
    assert read_settings(tmp_path)["robot"].card == Card("a robot", "character", ("a", "b"))


def test_a_field_and_a_table_can_be_added_and_removed(tmp_path: Path) -> None:
    after = edited(tmp_path, BY_HAND, "crown", text="a crown")
    assert after == BY_HAND + '\n[lora."crown"]\ntext = "a crown"\n'
    assert edited(tmp_path, BY_HAND, "style/blue", strength=None) == BY_HAND.replace(
        "strength = 0.5\n", ""
    )


@pytest.mark.parametrize(
    "before",
    ['lora = {robot = {text = "x"}}\n', '[lora]\nrobot.text = "x"\n', '[lora]\n"robot" = {}\n'],
)
def test_what_cannot_be_changed_safely_is_left_to_the_user(tmp_path: Path, before: str) -> None:
    with pytest.raises(BadOption, match="edit the file by hand"):
        edited(tmp_path, before, "robot", text="y")
    assert (tmp_path / FILE).read_text() == before


def test_a_broken_file_is_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="cannot be read as TOML"):
        edited(tmp_path, "[lora", "robot", text="y")
    assert (tmp_path / FILE).read_text() == "[lora"


def test_a_name_that_is_no_unicode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption):
        edit_settings(tmp_path, "r\udcf6bot", {"text": "x"})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotWritable, match=FILE):
        edit_settings(tmp_path / "nowhere", "robot", {"text": "x"})


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(name=WORDS, text=WORDS, triggers=st.lists(WORDS, max_size=3).map(tuple), again=WORDS)
def test_any_words_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    text: str,
    triggers: tuple[str, ...],
    again: str,
) -> None:
    folder = tmp_path_factory.mktemp("any")
    edit_settings(folder, "other", {"text": again})
    edit_settings(folder, name, {"text": text, "triggers": triggers})
    edit_settings(folder, name, {"text": again})
    stripped = tuple(trigger.strip() for trigger in triggers)
    assert read_settings(folder)[name].card == Card(again.strip(), triggers=stripped)
