from __future__ import annotations

from pathlib import Path

import pytest

from lorafusion import formats
from tests.formats.files import TO_Q, kohya_tensors, saved


@pytest.mark.parametrize(("metadata", "triggers"), [
    ({}, ()),
    ({"modelspec.trigger_phrase": "x robot, red eyes,"}, ("x robot", "red eyes")),
    ({"instance_prompt": "a photo of sks dog"}, ("a photo of sks dog",)),
    ({"lorafusion.triggers": '["a, b"]', "modelspec.trigger_phrase": "c"}, ("a, b",)),
    ({"lorafusion.triggers": "not a list", "modelspec.trigger_phrase": "c"}, ("c",)),
    ({"lorafusion.triggers": "[1]"}, ()),
    ({"modelspec.trigger_phrase": " ", "instance_prompt": "d"}, ("d",)),
])  # fmt: skip
def test_triggers_are_what_the_file_says(
    metadata: dict[str, str], triggers: tuple[str, ...], tmp_path: Path
) -> None:
    lora = formats.read(saved(tmp_path, kohya_tensors(), metadata))
    assert lora.triggers == triggers
    assert dict(lora.metadata) == metadata


def test_the_category_is_what_the_file_says(tmp_path: Path) -> None:
    path = saved(tmp_path, kohya_tensors(), {"lorafusion.category": "object"})
    assert formats.read(path).category == "object"


@pytest.mark.parametrize("note", ['{"%s": 0.9}', '{"%s": "x"}', "[]", "{", "[" * 100_000])
def test_a_note_of_scales_never_overrules_alpha(note: str, tmp_path: Path) -> None:
    metadata = {"lorafusion.scales": note.replace("%s", TO_Q)}
    assert formats.read(saved(tmp_path, kohya_tensors(), metadata)).deltas[TO_Q].scale == 0.5
