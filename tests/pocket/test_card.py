"""The model card says what the training's log and the plans say."""

import json
from pathlib import Path

import pytest

pytest.importorskip("peft")
pytest.importorskip("recipes.pocket", reason="the recipes are not beside the tests")

from lorafusion.pocket import world
from recipes.pocket import __main__ as command
from recipes.pocket.card import card
from recipes.pocket.plans import PLANS

PAGE = Path(command.DOCS) / "pocket.md"


def test_the_model_card_is_made_from_the_training_log() -> None:
    log = json.loads(command.REPORT.read_text())
    assert PAGE.read_text(encoding="utf-8") == card(log), "run the recipe's step `card`"


def test_every_lora_is_planned_and_two_are_told_by_tags_alone() -> None:
    assert [plan.name for plan in PLANS] == list(world.INDIVIDUALS)
    assert sum(plan.told == "tags" for plan in PLANS) == 2
    assert {plan.form for plan in PLANS} == {"kohya", "diffusers"}
