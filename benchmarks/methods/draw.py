"""Pictures of the bundled model under a method; the same prompt, seed and steps for all."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image

import lorafusion as lf
from benchmarks.methods.cases import Case, routed
from lorafusion.pipelines import Insight

STEPS = 20


class Studio:
    """The bundled model and its LoRAs, opened once."""

    def __init__(self) -> None:
        self.pipe: Any = lf.pocket.pipeline()
        self.pipe.set_progress_bar_config(disable=True)
        self.library = lf.Library(lf.pocket.loras())
        self.base = Insight(self.pipe)
        self._routes: dict[Case, lf.Route] = {}

    def plan(self, method: str, case: Case, *, steps: int = STEPS, **options: Any) -> lf.Plan:
        """What the method makes of the case's LoRAs."""
        if case not in self._routes:
            self._routes[case] = routed(case, self.library)
        return lf.plan(method, self._routes[case], steps, base=self.base, **options)

    def pictures(self, plan: lf.Plan, case: Case, seeds: list[int]) -> list[Image.Image]:
        """One picture for each seed, each with a generator of its own."""
        made = []
        with lf.apply(self.pipe, plan):
            for seed in seeds:
                generator = torch.Generator("cpu").manual_seed(seed)
                shown = self.pipe(
                    prompt=case.prompt,
                    num_inference_steps=plan.steps,
                    guidance_scale=lf.pocket.GUIDANCE,
                    generator=generator,
                )
                made.append(shown.images[0])
        return made
