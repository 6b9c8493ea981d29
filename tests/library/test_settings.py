from __future__ import annotations

from pathlib import Path

import pytest

from lorafusion.errors import BadOption, InputError, UnknownName, UnreadableFile
from lorafusion.library.card import Card
from lorafusion.library.settings import read_settings


def write(folder: Path, text: str) -> None:
    (folder / "lorafusion.toml").write_text(text, encoding="utf-8")


def test_without_a_file_nothing_is_said(tmp_path: Path) -> None:
    assert read_settings(tmp_path) == {}


def test_fields_of_a_lora(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        [lora.robot]
        text = "a silver robot "
        category = "character"
        triggers = ["rbt"]
        [lora."style/robot"]
        category = "style"
        """,
    )
    assert {name: said.card for name, said in read_settings(tmp_path).items()} == {
        "robot": Card("a silver robot", "character", ("rbt",)),
        "style/robot": Card(category="style"),
    }


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("[lora.robot", UnreadableFile, "cannot be read as TOML"),
        ("[loras.robot]", UnknownName, "Did you mean 'lora'"),
        ("lora = 3", BadOption, "'lora' is not a table"),
        ("[lora]\nrobot = 'x'", BadOption, r"\[lora\.robot\] is not a table"),
        ("[lora.robot]\ntxt = 'x'", UnknownName, r"\[lora\.robot\].*Did you mean 'text'"),
        ("[lora.robot]\ntext = 3", BadOption, "text is 3; it must be text"),
        ("[lora.robot]\ntriggers = 'x'", BadOption, "triggers is 'x'; it must be a list"),
        ("[lora.robot]\ntriggers = [1]", BadOption, "triggers is 1; it must be text"),
    ],
)
def test_a_mistake_is_named_in_one_line(
    tmp_path: Path, text: str, error: type[InputError], message: str
) -> None:
    write(tmp_path, text)
    with pytest.raises(error, match=message) as caught:
        read_settings(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "lorafusion.toml"))
    assert "\n" not in str(caught.value)


def test_a_strength_is_a_number(tmp_path: Path) -> None:
    (tmp_path / "lorafusion.toml").write_text("[lora.robot]\nstrength = 1\n")
    assert read_settings(tmp_path)["robot"].card.strength == 1.0


@pytest.mark.parametrize("value", ["'0.8'", "true", "nan", "inf", "1e9", "1" + "0" * 400])
def test_any_other_strength_is_refused(tmp_path: Path, value: str) -> None:
    (tmp_path / "lorafusion.toml").write_text(f"[lora.robot]\nstrength = {value}\n")
    with pytest.raises(BadOption, match="strength is .* such as 0.8"):
        read_settings(tmp_path)
