"""The training benchmark's page is what its numbers say."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.provenance import provenance
from benchmarks.training import page
from benchmarks.training.__main__ import command, settings_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "training.md"
RESULTS = ROOT / "benchmarks" / "results" / "training.json"
MADE: dict[str, Any] = {
    "provenance": {
        "settings": {"seeds of each prompt": 8, "images": 20, "class images": 60, "steps": 500},
        "machine": {"processor": "a chip", "threads used": 1, "load at the start": 0.5},
    },
    "seconds": 120.0,
    "seconds of the steps": 90.0,
    "curve": [{"loss": 0.5}, {"loss": 0.25}],
    "modules": 96,
    "bytes": 1_500_000,
    "killed": {"checkpoint seen at step": 250, "resumed after step": 248},
    "the same bytes": True,
    "concept drawn": {"base": 0.0, "with the LoRA": 0.75},
    "other characters drawn": {"base": 1.0, "with the LoRA": 0.5},
    "routed right": "9 of 9",
    "export": {"prompt": "a penguin wearing a crown", "largest difference of a pixel, of 255": 1},
    "spectral": {
        "steps": 700,
        "modules": 90,
        "bytes": 9_000_000,
        "concept drawn": {"base": 0.0, "with the shifts": 0.625},
    },
    "accuracy of the judge": 0.99,
    "prompts": [
        {
            "prompt": "a robot",
            "routed to": [],
            "judged as": "robot",
            "base": 1.0,
            "with the LoRA": 0.5,
        }
    ],
}


def test_the_page_has_the_figures_of_the_results_and_no_others() -> None:
    text = PAGE.read_text(encoding="utf-8")
    made = page.figures(json.loads(RESULTS.read_text())) if RESULTS.is_file() else ""
    assert page.shown(text) == made, "run python -m benchmarks.training"


def test_figures_stand_between_the_marks() -> None:
    filled = page.filled(PAGE.read_text(encoding="utf-8"), MADE)
    assert page.shown(filled) == page.figures(MADE)
    assert page.filled(filled, MADE) == filled
    with pytest.raises(ValueError, match="has no"):
        page.filled("# Training", MADE)


def test_figures_say_it_when_a_killed_run_ended_otherwise() -> None:
    assert "wrote the same bytes as a run" in page.figures(MADE)
    assert "wrote **other bytes than** a run" in page.figures(MADE | {"the same bytes": False})
    assert "2.0 minutes" in page.figures(MADE)
    assert (
        "a penguin in 62% of the pictures that asked for one; 90 modules, 9.0 MB"
        in page.figures(MADE)
    )
    assert "| a robot | - | robot | 100% | 50% |" in page.figures(MADE)


def test_settings_and_provenance_share_no_name() -> None:
    asked = Namespace(images=20, steps=5, class_images=2, seeds=1)
    words = command(Path("images"), asked.steps, asked.class_images)
    made = provenance("a command", [], **settings_of(asked, words))
    assert made["command"] == "a command"
    assert made["settings"]["trained by"].startswith("train lora images")
