"""Run a request on a pipeline under a plan: seeds to images and their records."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from lorafusion.errors import BadOption, UnknownName
from lorafusion.executors import EXECUTORS
from lorafusion.generate.request import Request
from lorafusion.pipelines import apply
from lorafusion.plan import Plan
from lorafusion.registry import unknown

OnStep = Callable[[int, int], object]
"""``on_step(done, all)``, after each denoising step, counted over all images."""

OURS = frozenset(
    {
        "prompt",
        "num_inference_steps",
        "generator",
        "num_images_per_prompt",
        "output_type",
        "return_dict",
    }
    | {"negative_prompt", "guidance_scale", "width", "height"}
)
"""Arguments of a pipeline's call that are set here, and so not by `Job.call`."""
CALLBACK = "callback_on_step_end"


@dataclass(frozen=True)
class Job:
    """A request and the way to run it.

    Attributes:
        request: what to make.
        executor: a name of `EXECUTORS`, or "auto".
        call: further arguments of the pipeline's call.
        on_step: told after each denoising step.
    """

    request: Request
    executor: str = "auto"
    call: Mapping[str, Any] | None = None
    on_step: OnStep | None = None


def check_call(pipe: Any, job: Job) -> None:
    """Refuse what the pipeline would refuse, or silently drop, before it is run.

    Raises:
        BadOption: an argument that this pipeline does not take, or a size that it cannot make.
        UnknownName: no such executor.
    """
    if job.executor != "auto" and job.executor not in EXECUTORS:
        raise UnknownName(unknown("executor", job.executor, ["auto", *EXECUTORS]))
    request, name = job.request, type(pipe).__name__
    known = _parameters(pipe)
    for key in settings(request) | dict(job.call or {}):
        if key not in known:
            raise BadOption(f"{key} was given, but {name} takes no such argument; leave it out")
    for key in job.call or {}:
        if key in OURS:
            raise BadOption(f"{key} cannot stand in call; give it, or seeds, to generate itself")
    multiple = _multiple(pipe)
    for key, size in (("width", request.width), ("height", request.height)):
        if size is not None and size % multiple:
            near = max(1, round(size / multiple)) * multiple
            raise BadOption(
                f"{key} is {size}; {name} makes multiples of {multiple}, such as {near}"
            )


def run(pipe: Any, plan: Plan, job: Job, prompt: str) -> tuple[tuple[Image.Image, ...], str]:
    """One image for each seed, and the name of the executor that made them.

    The prompt is that of the route, without the tags and with the words that the request's may lack.

    Each image is a batch of its own with a generator of its own, on the CPU, so that it depends on
    its seed alone. In a batch, matrices are multiplied in other blocks; their rounding differs in
    the last bit and, here and there, in an 8-bit pixel.

    Raises:
        WrongBase, UnknownName, BadOption: as `apply`.
    """
    images: list[Image.Image] = []
    with apply(pipe, plan, executor=job.executor) as choice:
        for index, seed in enumerate(job.request.seeds):
            arguments = {"prompt": prompt} | _arguments(pipe, job, index)
            generator = torch.Generator("cpu").manual_seed(seed)
            images.append(pipe(**arguments, generator=generator).images[0])
    return tuple(images), choice.name


def guidance(pipe: Any, request: Request) -> float | None:
    """The guidance scale that a call will use; None where the pipeline has none."""
    if request.guidance_scale is not None:
        return float(request.guidance_scale)
    own = _parameters(pipe).get("guidance_scale")
    return None if own is None or own.default is own.empty else float(own.default)


def accepts(pipe: Any, name: str) -> bool:
    """Whether the pipeline's call has an argument of this name."""
    return name in _parameters(pipe)


def pixel_hash(image: Image.Image) -> str:
    """sha256 of the size and the RGB bytes."""
    size = f"{image.width}x{image.height} ".encode()
    return hashlib.sha256(size + image.convert("RGB").tobytes()).hexdigest()


def _parameters(pipe: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(type(pipe).__call__).parameters


def settings(request: Request) -> dict[str, Any]:
    """Those of the pipeline's arguments that were asked for; the others keep its defaults."""
    asked = {
        "negative_prompt": request.negative_prompt or None,
        "guidance_scale": request.guidance_scale,
        "width": request.width,
        "height": request.height,
    }
    return {key: value for key, value in asked.items() if value is not None}


def _arguments(pipe: Any, job: Job, index: int) -> dict[str, Any]:
    request = job.request
    arguments = {
        "num_inference_steps": request.steps,
        **settings(request),
        **(job.call or {}),
    }
    if job.on_step is not None and accepts(pipe, CALLBACK):
        arguments |= _watched(job.on_step, arguments, index, len(request.seeds))
    return arguments


def _watched(
    on_step: OnStep, arguments: Mapping[str, Any], index: int, count: int
) -> dict[str, Any]:
    """The arguments by which `on_step` is told, in front of a callback that the caller gave."""
    own = arguments.get(CALLBACK)

    def told(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        steps = getattr(pipe, "num_timesteps", None) or arguments["num_inference_steps"]
        on_step(index * steps + step + 1, count * steps)
        return tensors if own is None else own(pipe, step, timestep, tensors)

    # Pipelines read this list off callback objects of diffusers' own classes only.
    wanted = getattr(own, "tensor_inputs", None)
    return {CALLBACK: told} | ({} if wanted is None else {f"{CALLBACK}_tensor_inputs": wanted})


def _multiple(pipe: Any) -> int:
    """What width and height must be multiples of: 8, or 16 where latents come in patches."""
    factor = int(getattr(pipe, "vae_scale_factor", 8))
    config = getattr(getattr(pipe, "image_processor", None), "config", None)
    processor = int(getattr(config, "vae_scale_factor", factor))
    return math.lcm(8, processor, factor * int(getattr(pipe, "patch_size", None) or 1))
