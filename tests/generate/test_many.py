"""Many requests in one batch: each image is what it is alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import lorafusion as lf
from lorafusion.errors import BadOption
from lorafusion.generate.many import requests_of
from lorafusion.methods import plan as make_plan
from lorafusion.pipelines import apply, apply_many
from lorafusion.plan import Candidate, Plan, Route
from lorafusion.routing import PipelineEncoder
from tests import tiny
from tests.conftest import loras_for
from tests.generate.conftest import library_for
from tests.pipelines.test_methods import Given

PROMPTS = ["a robot", "a crown in a library", "a photo of a cat", "guitar"]
METHODS = ["merge", "composite", "switch", "naive"]
GUIDANCE = [3.0, 5.0, 7.5, 2.0]


def plans_for(pipe: Any) -> list[Plan]:
    """A method, its own LoRAs and its own weights for each prompt."""
    loras = loras_for(pipe, 4)
    plans = []
    for turn, (prompt, method) in enumerate(zip(PROMPTS, METHODS, strict=True)):
        chosen = tuple(
            Candidate(Given(lora), 0.5, 0.3 + 0.1 * turn) for lora in loras[turn % 3 :][:2]
        )
        options = {"period": 1} if method == "switch" else {}
        plans.append(make_plan(method, Route(prompt, chosen), tiny.STEPS, strength=0.9, **options))
    return plans


def latents(pipe: Any, prompt: Any, seeds: list[int], guidance: float) -> torch.Tensor:
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return tiny.call(pipe, prompt=prompt, generator=generators, guidance_scale=guidance)


@pytest.mark.parametrize("executor", ["inject", "fold"])
def test_every_image_of_a_batch_is_what_it_is_alone(pipe: Any, executor: str) -> None:
    plans = plans_for(pipe)
    calls = 0

    def counted(*_: Any) -> None:
        nonlocal calls
        calls += 1

    denoiser = getattr(pipe, "unet", None) or pipe.transformer
    with apply_many(pipe, plans, GUIDANCE, executor=executor):
        handle = next(denoiser.children()).register_forward_hook(counted)
        together = latents(pipe, PROMPTS, [7, 8, 9, 10], 4.0)
        handle.remove()
    if executor == "inject" and hasattr(pipe, "unet"):
        assert calls == tiny.STEPS  # five branches of four prompts, one call a step
    for image, (prompt, plan, scale) in enumerate(zip(PROMPTS, plans, GUIDANCE, strict=True)):
        with apply(pipe, plan):
            alone = latents(pipe, prompt, [7 + image], scale)
        assert tiny.relative_error(together[image : image + 1], alone) <= 1e-5
        assert tiny.relative_error(latents(pipe, prompt, [7 + image], scale), alone) > 1e-3 or (
            METHODS[image] == "naive"
        )


def test_generate_many_gives_each_request_its_own(sd: Any, tmp_path: Any) -> None:
    library = library_for(sd, tmp_path / "loras", ("robot", "crown", "cat"))
    small = {"steps": 4, "width": 32, "height": 32}
    requests = [
        {"prompt": "a robot", "seed": 3, "method": "composite", "guidance_scale": 4.0, **small},
        {"prompt": "a crown", "seeds": [1, 2], "method": "merge", **small},
        {"prompt": "a cat", "method": "switch", "options": {"period": 1}, **small, "steps": 2},
        {"prompt": "a robot", "seed": 3, "strength": 0.5, "negative_prompt": "blurry", **small},
    ]
    encoder = PipelineEncoder(sd)
    before = tiny.weights(sd)
    results = lf.generate_many(requests, sd, library, encoder=encoder, router="cosine")
    assert [len(result.images) for result in results] == [1, 2, 1, 1]
    assert [result.record.prompt for result in results] == [r["prompt"] for r in requests]
    assert results[1].records[1].seed == 2
    assert results[0].record.method.startswith("composite")
    for result, request in zip(results, requests, strict=True):
        words = dict(request)
        options = words.pop("options", {})
        alone = lf.generate(
            words.pop("prompt"), sd, library, encoder=encoder, router="cosine", **words, **options
        )
        for mine, right in zip(result.images, alone.images, strict=True):
            ours, theirs = (torch.frombuffer(bytearray(i.tobytes()), dtype=torch.uint8).int()
                            for i in (mine, right))  # fmt: skip
            assert (ours - theirs).abs().max() <= 1  # the rounding of the last of eight bits
        assert result.route.weights == alone.route.weights
    assert tiny.weights(sd) == before


def test_requests_say_what_they_do_not_understand() -> None:
    with pytest.raises(BadOption, match=r"request 2: a request has no 'promt'; it takes prompt"):
        requests_of(["a cat", {"promt": "a dog"}])
    with pytest.raises(BadOption, match="needs a 'prompt'"):
        requests_of([{"seed": 3}])
    with pytest.raises(BadOption, match="no request"):
        requests_of([])
