from __future__ import annotations

from pathlib import Path

import pytest

from lorafusion.library.card import Card
from lorafusion.library.modelcard import card_of_front_matter
from lorafusion.library.sidecars import read_sidecars

CARD = """---
base_model: black-forest-labs/FLUX.1-dev
instance_prompt: 'rbt, a tin robot'
tags:
- text-to-image
- lora
- template:sd-lora
- toys
widget:
- text: rbt in a garden
  output:
    url: images/1.png
license: other
---
# A robot
"""


def test_the_front_matter_of_a_training_script() -> None:
    assert card_of_front_matter(CARD) == Card("rbt, a tin robot. toys", "", ("rbt", "a tin robot"))


def test_a_sample_prompt_stands_in_for_a_missing_instance_prompt() -> None:
    card = card_of_front_matter(CARD.replace("instance_prompt", "something_else"))
    assert card == Card("rbt in a garden. toys")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# A robot\ninstance_prompt: x\n",
        "---\ninstance_prompt: x\n",
        "---\ninstance_prompt: null\n---\n",
        "---\ninstance_prompt: >-\n  folded\n---\n",
        "---\ninstance_prompt: [a, b]\n---\n",
        "---\nwidget:\n- output:\n    url: x.png\n---\n",
    ],
)
def test_anything_else_says_nothing(text: str) -> None:
    assert card_of_front_matter(text) == Card()


def test_a_card_belongs_to_the_only_lora_of_its_folder(tmp_path: Path) -> None:
    lora = tmp_path / "pytorch_lora_weights.safetensors"
    lora.touch()
    (tmp_path / "README.md").write_text(CARD)
    assert read_sidecars(lora).triggers == ("rbt", "a tin robot")
    (tmp_path / "another.safetensors").touch()
    assert read_sidecars(lora) == Card()
