from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorafusion.library.naming import label_of, unique_names, words_of_name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("robot", "robot"),
        ("beach_background", "beach background"),
        ("pixel-art-style", "pixel art style"),
        ("RobotSuit", "Robot Suit"),
        ("robotSuit_v1.0-lora", "robot Suit"),
        ("LoRA_robot_V2", "robot"),
        ("robotLoRA", "robot"),
        ("robot_lora_sdxl", "robot"),
        ("robot-000010", "robot"),
        ("robot version 3", "robot"),
        ("3DRender", "3D Render"),
        ("Flora", "Flora"),
        ("explorer", "explorer"),
        ("robot_2", "robot 2"),
        ("lora_v1", "lora_v1"),
        ("red\nrobot\x1b[31m", "red robot [31m"),
        ("caf\udce9", "caf"),
        ("\udce9", r"\udce9"),
    ],
)
def test_words_of_a_name(name: str, words: str) -> None:
    assert words_of_name(name) == words


def test_a_file_with_a_name_that_all_share_is_called_like_its_folder() -> None:
    assert label_of("robot/pytorch_lora_weights.safetensors") == "robot"
    assert label_of("robot/adapter_model.safetensors") == "robot"
    assert label_of("adapter_model.safetensors") == "adapter_model"


def test_two_files_of_one_stem_are_told_apart_by_their_folders() -> None:
    files = ["robot.safetensors", "style/robot.safetensors", "x/cat.safetensors"]
    assert unique_names(files) == ["robot", "style/robot", "cat"]


def test_every_name_can_be_typed_and_stored() -> None:
    """A byte that is no text once kept a whole folder from being compared with any prompt."""
    odd = ["a\nb", "caf\udce9", "\x1b[2J", "\u202egnp", "\udce9", "日本 👩\u200d🚀", r"a\nb"]
    names = unique_names([f"{name}.safetensors" for name in odd])
    assert names[1:6] == [r"caf\udce9", r"\x1b[2J", r"\u202egnp", r"\udce9", "日本 👩\u200d🚀"]
    assert {names[0], names[6]} == {"a\nb", r"a\nb"}  # both would be the latter
    assert unique_names(["a\nb.safetensors"]) == [r"a\nb"]
    for name in names[1:]:
        name.encode("utf-8")


PATHS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["a", "b", "adapter_model"]), min_size=1, max_size=3),
        st.sampled_from([".safetensors", ".SAFETENSORS"]),
    ).map(lambda told: "/".join(told[0]) + told[1]),
    unique=True,
    max_size=12,
)


@given(PATHS, st.randoms())
def test_names_are_unique_and_do_not_depend_on_the_order(files: list[str], random: object) -> None:
    names = dict(zip(files, unique_names(files), strict=True))
    assert len(set(names.values())) == len(files)
    shuffled = list(files)
    random.shuffle(shuffled)
    assert dict(zip(shuffled, unique_names(shuffled), strict=True)) == names
