"""Result: images, and how they came about."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from lorafusion.errors import BadOption
from lorafusion.generate.describe import dtype_name, environment, fingerprint
from lorafusion.generate.job import Job, guidance, pixel_hash
from lorafusion.generate.schedulers import snapshot
from lorafusion.lora import sources_of
from lorafusion.plan import Plan, Route
from lorafusion.record import Record, Used, save
from lorafusion.record.hashes import autov3


@dataclass(frozen=True, eq=False)
class Result:
    """What was made from one request.

    Attributes:
        images: one for each seed, in the order of the seeds.
        records: one for each image.
        route: which LoRAs the prompt asked for.
        plan: which LoRA was open how far, in each step.
    """

    images: tuple[Image.Image, ...]
    records: tuple[Record, ...]
    route: Route
    plan: Plan

    @property
    def image(self) -> Image.Image:
        """The first image."""
        return self.images[0]

    @property
    def record(self) -> Record:
        """The first image's record."""
        return self.records[0]

    def save(self, path: str | Path) -> None:
        """Write the one image and its record as PNG.

        Raises:
            BadOption: there are several images; use `lorafusion.record.save` for each.
            NotWritable: the file cannot be written there.
        """
        if len(self.images) != 1:
            raise BadOption(f"{len(self.images)} images and one path; save each with record.save")
        save(self.image, self.record, Path(path).expanduser())


def records(
    pipe: Any,
    job: Job,
    route: Route,
    plan: Plan,
    made: tuple[tuple[Image.Image, ...], str],
    names: tuple[str, str],
) -> tuple[Record, ...]:
    """One record for each image of a run.

    Args:
        pipe: as it was for the run.
        job: what was asked for.
        route: chosen LoRAs and weights.
        plan: made from the route.
        made: images and the executor's name, as `run` returns them.
        names: of the base model and of the encoder.
    """
    images, executor = made
    request, call = job.request, dict(job.call or {})
    plain = {key: value for key, value in call.items() if _is_plain(value)}
    versions, system = environment()
    shared: dict[str, Any] = {
        "prompt": route.prompt,
        "asked": request.prompt,
        "triggers": route.added,
        "negative_prompt": request.negative_prompt,
        "steps": request.steps,
        "guidance_scale": guidance(pipe, request),
        "base": names[0] or str(getattr(pipe, "name_or_path", "") or ""),
        "pipeline": type(pipe).__name__,
        "fingerprint": fingerprint(pipe),
        "scheduler": type(pipe.scheduler).__name__,
        "scheduler_config": snapshot(pipe.scheduler),
        "method": request.method,
        "options": dict(request.options),
        "strength": float(request.strength),
        "router": route.router,
        "encoder": names[1],
        "loras": _used(route, plan),
        "executor": executor,
        "dtype": dtype_name(pipe),
        "device": pipe.device.type,
        "call": plain,
        "unrecorded": tuple(sorted(_decisive(call, plain))),
        "versions": versions,
        "platform": system,
    }
    return tuple(
        Record(
            seed=seed,
            width=image.width,
            height=image.height,
            pixels=pixel_hash(image),
            **shared,
        )
        for seed, image in zip(request.seeds, images, strict=True)
    )


def _used(route: Route, plan: Plan) -> tuple[Used, ...]:
    """The chosen LoRAs; gates are their mean openings over steps, branches weighed by `mix`.

    Where a method made one LoRA of several, each counts with its weight in the making.
    """
    opened, texts = (_opened(plan, gates) for gates in (plan.gates, plan.text_gates))
    gates, text_gates = defaultdict[str, float](float), defaultdict[str, float](float)
    sums: dict[str, str] = {}
    for lora, gate, text in zip(plan.loras, opened, texts, strict=True):
        for inner in sources_of(lora):
            gates[inner["name"]] += gate * inner["weight"]
            text_gates[inner["name"]] += text * inner["text_weight"]
            sums[inner["name"]] = inner["sha256"]
    used = []
    for candidate in route.chosen:
        source = candidate.source
        path = getattr(source, "path", None)
        used.append(
            Used(
                name=candidate.name,
                file="" if path is None else Path(path).name,
                sha256=sums.get(candidate.name, ""),
                autov3="" if path is None else autov3(Path(path)),
                category=source.category,
                phrase=candidate.phrase,
                score=float(candidate.score),
                weight=float(candidate.weight),
                gate=float(gates[candidate.name]),
                pinned=candidate.pinned,
                strength=float(candidate.strengths[0]),
                text_strength=float(candidate.strengths[1]),
                text_gate=float(text_gates[candidate.name]),
            )
        )
    return tuple(used)


def _opened(plan: Plan, gates: Float[Tensor, "s b l"]) -> list[float]:
    return [float(gate) for gate in (gates * plan.mix[..., None]).sum(1).mean(0)]


def _decisive(call: dict[str, Any], plain: dict[str, Any]) -> list[str]:
    """Arguments that the record cannot hold; callbacks count too, for they may change latents."""
    return [key for key in call if key not in plain]


def _is_plain(value: object) -> bool:
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError):
        return False
