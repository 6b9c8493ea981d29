"""Routes for sets of LoRAs that are given: the testbed asks how LoRAs compose, not how they are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

import lorafusion as lf
from benchmarks.pocket.studio import Studio
from lorafusion.plan import Candidate, Route
from lorafusion.pocket import world
from lorafusion.routing import ROUTERS, Encoder


@dataclass(frozen=True)
class Given:
    """A LoRA that was read already."""

    name: str
    category: str
    lora: lf.LoRA

    def load(self) -> lf.LoRA:
        """The LoRA."""
        return self.lora


def by_hand(studio: Studio, prompt: str, names: Mapping[str, float]) -> Route:
    """A route of exactly these LoRAs, name -> weight."""
    return Route(
        prompt,
        tuple(
            Candidate(_given(studio, name), score=0.0, weight=weight)
            for name, weight in names.items()
        ),
    )


def by_prompt(studio: Studio, prompt: str, names: tuple[str, ...], encoder: Encoder) -> Route:
    """The given LoRAs at the weights of LoRA Fusion, equation 1: a softmax over their cosines."""
    keys = dict(zip(studio.library.names, studio.library.keys(encoder), strict=True))
    rows = np.stack([keys[name] for name in names])
    return ROUTERS["cosine"](prompt, tuple(_given(studio, name) for name in names), rows, encoder)


def _given(studio: Studio, name: str) -> Given:
    return Given(name, world.INDIVIDUALS[name].category, studio.files[name])
