"""One call from a prompt to an image: route, plan, apply, record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lorafusion.errors import NothingRelevant
from lorafusion.generate.equalise import Norm, equalised
from lorafusion.generate.held import ahead
from lorafusion.generate.job import Job, OnStep, check_call, run
from lorafusion.generate.many import make_many, requests_of
from lorafusion.generate.remake import again
from lorafusion.generate.request import Request
from lorafusion.generate.result import Result, records
from lorafusion.library import Encoder, Library
from lorafusion.methods import plan as make_plan
from lorafusion.pipelines import Insight
from lorafusion.pipelines.family import family_of
from lorafusion.pipelines.match import check
from lorafusion.plan import Plan, Route
from lorafusion.routing import DEFAULT, encoder_of, narrowed
from lorafusion.routing import route as make_route

__all__ = [
    "Job",
    "Request",
    "Result",
    "again",
    "generate",
    "generate_many",
    "label",
    "make",
    "prepare",
    "require",
]


def generate(
    prompt: str,
    pipe: Any,
    library: Library,
    *,
    method: str = "fusion",
    steps: int = 30,
    seed: int = 0,
    seeds: Sequence[int] | None = None,
    strength: float = 1.0,
    negative_prompt: str = "",
    guidance_scale: float | None = None,
    width: int | None = None,
    height: int | None = None,
    router: str = DEFAULT,
    encoder: str | Path | Encoder = "minilm",
    budget: str | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    threshold: float | None = None,
    equalise: Norm | None = None,
    pinned_only: bool = False,
    triggers: bool = True,
    require_lora: bool = False,
    executor: str = "auto",
    base: str = "",
    call: Mapping[str, Any] | None = None,
    on_step: OnStep | None = None,
    **options: object,
) -> Result:
    """Make an image with the LoRAs that the prompt asks for: `route`, `plan`, `apply` in one call.

    An image depends on its own seed only: the same seed, the same pixels, alone or among others.

    Args:
        prompt: what the image shows; ``<lora:name:0.8>`` in it pins a LoRA, as `route` says.
        pipe: any diffusers text-to-image pipeline.
        library: where the LoRAs are; those of another family than the pipeline's are left out.
        method: a name of `METHODS`.
        steps: denoising steps.
        seed: of the one image.
        seeds: one image for each of these; replaces `seed`.
        strength: factor on all gates.
        negative_prompt: what the image should not show.
        guidance_scale: how closely to follow the prompt; None for the pipeline's own default.
        width: pixels; None for the pipeline's own default.
        height: pixels; None for the pipeline's own default.
        router: a name of `ROUTERS`.
        encoder: a name of `ENCODERS`, a sentence-transformers model, or an `Encoder`.
        budget: "full", "balanced" or "paper": how much strength several LoRAs have together, with
            the router "phrases". None, here and for the next three, for the router's own default.
        temperature: of the softmax over scores, with the router "cosine"; below 1 the best LoRAs
            stand out more.
        top_k: keep at most this many LoRAs.
        threshold: keep LoRAs of at least this score.
        equalise: strengths at which each LoRA's change has this norm at weight 1, or "median" for that
            of the chosen ones; as their users and makers like them, or as trained, when None.
        pinned_only: use the LoRAs that the prompt pins and no others.
        triggers: put trigger words of chosen LoRAs into the prompt where it lacks them.
        require_lora: refuse to make an image without any LoRA.
        executor: a name of `EXECUTORS`, or "auto".
        base: how to name the base model in the record; its own name or path when empty.
        call: further arguments of the pipeline's call: a ControlNet's image, a callback of yours.
        on_step: ``on_step(done, all)`` after each denoising step.
        options: the method's own options.

    Returns:
        Result: the images, their records, the route and the plan.

    Raises:
        BadOption: an empty prompt, a malformed tag or a value out of its range.
        UnknownName: no such method, option, router, encoder, executor or pinned LoRA.
        NothingRelevant: `require_lora`, and no LoRA was chosen.
        WrongBase: a chosen LoRA, or none of all, fits the pipeline; nothing was touched.
        UnreadableFile: a chosen LoRA cannot be read.
    """
    request = Request(
        prompt=prompt,
        seeds=(seed,) if seeds is None else tuple(seeds),
        steps=steps,
        negative_prompt=negative_prompt,
        guidance_scale=guidance_scale,
        width=width,
        height=height,
        method=method,
        options=options,
        strength=strength,
    )
    request.check_tags()
    job = Job(request, executor, call, on_step)
    check_call(pipe, job)
    model = encoder_of(encoder)
    given = narrowed(
        router,
        negative_prompt,
        budget=budget,
        temperature=temperature,
        top_k=top_k,
        threshold=threshold,
    )
    library = library.fitting(family_of(pipe))
    given |= {"pinned_only": pinned_only, "triggers": triggers}
    route = make_route(prompt, library, router=router, encoder=model, **given)
    if require_lora:
        require(route)
    if equalise is not None:
        route = equalised(route, equalise, pipe)
    plan = prepare(pipe, job, ahead(route))
    return make(pipe, job, route, plan, names=(base, label(encoder, model)))


def generate_many(
    requests: Sequence[Request | Mapping[str, Any] | str],
    pipe: Any,
    library: Library,
    *,
    router: str = DEFAULT,
    encoder: str | Path | Encoder = "minilm",
    executor: str = "auto",
    base: str = "",
    call: Mapping[str, Any] | None = None,
    **narrowing: object,
) -> list[Result]:
    """Make many images in few batches: each with its own prompt, LoRAs, weights, method, seed and guidance.

    Requests with as many steps and the same size run as one batch, whatever their LoRAs; the branches of
    composite are rows of it too. Each image is what `generate` makes of its request alone, up to the
    rounding of products of other sizes: 1e-5 of the latents, which may turn an 8-bit pixel here and there.

    Args:
        requests: prompts, or mappings of `Request`'s arguments, with `seed` for a single one:
            ``[{"prompt": "a robot", "seed": 3, "method": "composite"}, "a cat"]``.
        pipe: any diffusers text-to-image pipeline.
        library: where the LoRAs are; those of another family than the pipeline's are left out.
        router: a name of `ROUTERS`.
        encoder: a name of `ENCODERS`, a sentence-transformers model, or an `Encoder`.
        executor: a name of `EXECUTORS`, or "auto".
        base: how to name the base model in the records.
        call: further arguments of the pipeline's call, the same for all.
        narrowing: the router's options: budget, temperature, top_k, threshold; or those of `route`:
            pinned_only, triggers.

    Returns:
        One Result for each request, in order.

    Raises:
        BadOption, UnknownName, WrongBase, UnreadableFile: as `generate`; nothing is run then.
    """
    jobs = [Job(request, executor, call) for request in requests_of(requests)]
    model = encoder_of(encoder)
    library = library.fitting(family_of(pipe))
    routes = []
    for job in jobs:
        prompt, negative = job.request.prompt, job.request.negative_prompt
        given = narrowed(router, negative, **narrowing)
        # Files of one prompt are read while the next one is encoded.
        route = make_route(prompt, library, router=router, encoder=model, **given)
        routes.append((route, ahead(route)))
    planned = [
        (route, prepare(pipe, job, coming))
        for job, (route, coming) in zip(jobs, routes, strict=True)
    ]
    return make_many(pipe, jobs, planned, (base, label(encoder, model)))


def label(asked: str | Path | Encoder, model: Encoder) -> str:
    """How a record calls an encoder: the name it was asked for by, and its fingerprint."""
    return f"{asked} {model.id}".strip() if isinstance(asked, str | Path) else model.id


def prepare(pipe: Any, job: Job, route: Route) -> Plan:
    """Read the chosen LoRAs and plan how they act; whatever does not fit is found out here.

    Args:
        pipe: any diffusers text-to-image pipeline.
        job: what to make, and how to run it.
        route: its chosen LoRAs are used at its weights.

    Raises:
        BadOption, UnknownName, WrongBase, UnreadableFile: as `generate`.
    """
    check_call(pipe, job)
    request = job.request
    plan = make_plan(
        request.method,
        route,
        request.steps,
        strength=request.strength,
        base=Insight(pipe),
        **dict(request.options),
    )
    for lora in plan.loras:
        check(pipe, lora)
    return plan


def make(
    pipe: Any, job: Job, route: Route, plan: Plan, *, names: tuple[str, str] = ("", "")
) -> Result:
    """Make images from a route and its plan, edited by hand perhaps; the pipeline reads its prompt.

    Args:
        pipe: any diffusers text-to-image pipeline.
        job: what to make, and how to run it.
        route: its prompt is what the pipeline reads; the rest is for the record.
        plan: as `prepare` returns it.
        names: of the base model and of the encoder, for the record.

    Raises:
        BadOption, UnknownName, WrongBase: as `apply`.
    """
    made = run(pipe, plan, job, route.prompt)
    return Result(made[0], records(pipe, job, route, plan, made, names), route, plan)


def require(route: Route) -> None:
    """Insist on at least one chosen LoRA.

    Raises:
        NothingRelevant: all were left out; the message names the nearest one.
    """
    if route.chosen:
        return
    best = route.candidates[0] if route.candidates else None
    nearest = f"; the nearest is {best.name!r} ({best.left_out})" if best else ""
    raise NothingRelevant(
        f"the prompt {route.prompt!r} asks for none of {len(route.candidates)} LoRAs{nearest}; "
        "lower the threshold or name one of them"
    )
