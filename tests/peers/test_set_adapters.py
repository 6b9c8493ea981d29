"""merge against diffusers with peft, on the same files."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lorafusion import formats
from lorafusion.pipelines import apply
from lorafusion.plan import Plan
from tests import tiny

WEIGHTS = (1.0, 0.8, -0.5)


def outputs(pipe: Any, run: Callable[[], Any]) -> list[torch.Tensor]:
    """Every output of the denoiser while `run` runs."""
    seen: list[torch.Tensor] = []
    denoiser = getattr(pipe, "unet", None) or pipe.transformer
    handle = denoiser.register_forward_hook(lambda module, args, output: seen.append(output[0]))
    try:
        run()
    finally:
        handle.remove()
    return seen


@pytest.mark.parametrize("kind", tiny.KINDS)
@pytest.mark.parametrize("executor", ["fold", "inject", "reference"])
def test_merge_equals_set_adapters(kind: str, executor: str, tmp_path: Path) -> None:
    pipe = tiny.pipeline(kind)
    files = tiny.lora_files(pipe, tmp_path)
    loras = tuple(formats.read(path) for path in files)
    plan = Plan.of(loras, torch.tensor(WEIGHTS).expand(1, 1, 3))

    def ours() -> None:
        with apply(pipe, plan, executor=executor):
            tiny.call(pipe)

    mine = outputs(pipe, ours)
    base = outputs(pipe, lambda: tiny.call(pipe))
    peer = copy.deepcopy(pipe)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peer's own
        for index, path in enumerate(files):
            peer.load_lora_weights(str(path), adapter_name=f"adapter_{index}")
        peer.set_adapters([f"adapter_{index}" for index in range(3)], list(WEIGHTS))
    theirs = outputs(peer, lambda: tiny.call(peer))
    assert len(mine) == len(theirs) == tiny.STEPS
    for one, other, untouched in zip(mine, theirs, base, strict=True):
        assert tiny.relative_error(one, other) <= 1e-5
        assert tiny.relative_error(untouched, other) > 1e-2
