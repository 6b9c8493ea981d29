"""One compilation for fifty requests with other LoRAs, weights and methods."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lorafusion.errors import BadOption
from lorafusion.executors import EXECUTORS
from tests import tiny

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, "-m", "tests.executors.fifty"], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_fifty_requests_compile_once(found: dict[str, Any]) -> None:
    fifty = found["fifty"]
    assert fifty["compilations"] == 1
    assert len(fifty["errors"]) == 8
    assert max(fifty["errors"]) <= 1e-5
    assert fifty["as before"]


def test_more_ranks_than_a_bucket_has_compile_again(found: dict[str, Any]) -> None:
    assert found["buckets"]["compilations"] == {"4": 1, "30": 1, "33": 2, "5": 2}
    assert max(found["buckets"]["errors"]) <= 1e-5


def test_what_is_compiled_does_not_keep_the_module(found: dict[str, Any]) -> None:
    assert found["buckets"]["freed"]


def test_a_forward_that_is_not_its_own_is_refused() -> None:
    unet = tiny.unet()
    unet.forward = lambda sample: sample
    with pytest.raises(BadOption, match=r"stands in for the forward of UNet2DConditionModel"):
        EXECUTORS["compiled"](unet, [])
