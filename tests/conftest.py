"""What several tests share: tiny pipelines and LoRAs for them."""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from typing import Any

import pytest
import torch
from hypothesis import settings

from lorafusion.lora import LoRA, LowRank
from tests import tiny

# Models of a few kilobytes lose more to handing work around than threads give back.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)
# The same cases every time, so that a red check is the change's own; HYPOTHESIS_PROFILE=explore for new ones.
# A machine that is busy with something else makes no test wrong.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
logging.getLogger("transformers").setLevel(logging.ERROR)


@lru_cache
def shared_pipeline(kind: str) -> Any:
    return tiny.pipeline(kind)


@pytest.fixture(params=tiny.KINDS)
def pipe(request: pytest.FixtureRequest) -> Any:
    """Each tiny pipeline in turn; whatever a test applies to it is undone, and checked."""
    made = shared_pipeline(request.param)
    before = tiny.weights(made)
    yield made
    assert tiny.weights(made) == before


@pytest.fixture
def sd() -> Any:
    """A tiny Stable Diffusion of the test's own, which it may change."""
    return tiny.pipeline("sd")


def lora_of(tensors: dict[str, torch.Tensor], name: str, category: str = "") -> LoRA:
    """A LoRA from a state dict of `tiny.state_dict`, without a file between."""
    paths = [key.removesuffix(".lora_A.weight") for key in tensors if key.endswith("A.weight")]
    deltas = {
        path: LowRank(tensors[f"{path}.lora_A.weight"], tensors[f"{path}.lora_B.weight"], 1.0)
        for path in paths
    }
    return LoRA(name, deltas, category=category)


def loras_for(pipe: Any, count: int = 3, text: bool = True) -> tuple[LoRA, ...]:
    """`count` random LoRAs of different ranks."""
    return tuple(
        lora_of(tiny.state_dict(pipe, seed=100 + i, rank=2 + i, text=text), f"lora-{i}")
        for i in range(count)
    )
