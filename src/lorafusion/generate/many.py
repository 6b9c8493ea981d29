"""Many requests as few batches: each image with its own prompt, LoRAs, method, seed and guidance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from lorafusion.errors import BadOption
from lorafusion.generate.job import Job, accepts, check_call, guidance, settings
from lorafusion.generate.request import Request
from lorafusion.generate.result import Result, records
from lorafusion.pipelines import apply_many
from lorafusion.plan import Plan, Route


@dataclass(frozen=True, eq=False)
class Item:
    """One image that is wanted.

    Attributes:
        request: that it belongs to.
        seed: of the image.
        prompt: what the pipeline reads for it.
        plan: which LoRAs are open for it.
        place: of the request among all.
    """

    request: Request
    seed: int
    prompt: str
    plan: Plan
    place: int


def requests_of(given: Sequence[Request | Mapping[str, Any] | str]) -> list[Request]:
    """Requests from what people write: a prompt, or the arguments of a Request with `seed` for one.

    Raises:
        BadOption: an argument that no request has, or nothing was asked for.
    """
    if not given:
        raise BadOption("there is no request; give at least one prompt")
    made = []
    for number, each in enumerate(given, 1):
        if isinstance(each, Request):
            made.append(each)
            continue
        words: dict[str, Any] = {"prompt": each} if isinstance(each, str) else dict(each)
        if "seed" in words:
            words["seeds"] = (words.pop("seed"),)
        if "seeds" in words:
            words["seeds"] = tuple(words["seeds"])
        unknown = sorted(words.keys() - Request.__dataclass_fields__.keys())
        if unknown or "prompt" not in words:
            wrong = f"has no {unknown[0]!r}" if unknown else "needs a 'prompt'"
            known = ", ".join(Request.__dataclass_fields__)
            raise BadOption(f"request {number}: a request {wrong}; it takes {known}")
        made.append(Request(**words))
    return made


def make_many(
    pipe: Any, jobs: Sequence[Job], planned: Sequence[tuple[Route, Plan]], names: tuple[str, str]
) -> list[Result]:
    """Run all jobs in as few batches as their steps, sizes and memory allow.

    Args:
        pipe: any diffusers text-to-image pipeline.
        jobs: one for each request, with the same executor and call.
        planned: the route and the plan of each.
        names: of the base model and of the encoder, for the records.

    Returns:
        One Result for each job, in order.

    Raises:
        BadOption, UnknownName, WrongBase: as `apply`.
    """
    for job in jobs:
        check_call(pipe, job)
    items = [
        Item(job.request, seed, route.prompt, plan, place)
        for place, (job, (route, plan)) in enumerate(zip(jobs, planned, strict=True))
        for seed in job.request.seeds
    ]
    images: list[list[Image.Image]] = [[] for _ in jobs]
    executors = [jobs[0].executor] * len(jobs)
    for batch in batches(pipe, items):
        made, executor = _run(pipe, batch, jobs[0])
        for item, image in zip(batch, made, strict=True):
            images[item.place].append(image)
            executors[item.place] = executor
    results = []
    for job, (route, plan), own, name in zip(jobs, planned, images, executors, strict=True):
        written = records(pipe, job, route, plan, (tuple(own), name), names)
        results.append(Result(tuple(own), written, route, plan))
    return results


def batches(pipe: Any, items: Sequence[Item]) -> Iterator[list[Item]]:
    """Items that can share a call of the pipeline: as many steps, the same size, guided or not."""
    groups: dict[object, list[Item]] = {}
    for item in items:
        request = item.request
        scale = guidance(pipe, request)
        kind = scale if _told(pipe) else scale is not None and scale > 1
        groups.setdefault((request.steps, request.width, request.height, kind), []).append(item)
    yield from groups.values()


def _told(pipe: Any) -> bool:
    """Whether the denoiser hears the scale in its time embedding, one scale for all images."""
    config = getattr(getattr(pipe, "unet", None), "config", None)
    return getattr(config, "time_cond_proj_dim", None) is not None


def _run(pipe: Any, batch: Sequence[Item], job: Job) -> tuple[list[Image.Image], str]:
    scales = [guidance(pipe, item.request) for item in batch]
    own = [float(scale) for scale in scales if scale is not None]
    differ = own if len(set(own)) > 1 else None
    arguments = dict(job.call or {}) | settings(batch[0].request)
    negatives = [item.request.negative_prompt for item in batch]
    if any(negatives):
        arguments["negative_prompt"] = negatives
    arguments |= {
        "prompt": [item.prompt for item in batch],
        "num_inference_steps": batch[0].request.steps,
        "generator": [torch.Generator("cpu").manual_seed(item.seed) for item in batch],
    }
    if own and accepts(pipe, "guidance_scale"):
        arguments["guidance_scale"] = own[0]
    plans = [item.plan for item in batch]
    with apply_many(pipe, plans, differ, executor=job.executor) as choice:
        return list(pipe(**arguments).images), choice.name
