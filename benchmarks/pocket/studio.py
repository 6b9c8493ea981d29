"""The studio: the base, the LoRAs and the scorers, loaded once; prompts and plans to scored pictures."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import lorafusion as lf
from benchmarks.pocket.cells import Pictures
from lorafusion import pocket
from lorafusion.plan import Plan
from lorafusion.pocket import world
from lorafusion.pocket.scorers import weights

STEPS = 20
WEIGHTS = pocket.loras().parent

Score = dict[str, Any]


@dataclass(frozen=True)
class Studio:
    """Where pictures are made and scored.

    Attributes:
        base: folder of the base model.
        loras: folder of the LoRA files.
        steps: of denoising.
    """

    base: Path = WEIGHTS / "base"
    loras: Path = WEIGHTS / "loras"
    steps: int = STEPS

    @cached_property
    def pipe(self) -> Any:
        """The base, on the CPU in float32."""
        from diffusers import StableDiffusionPipeline

        with contextlib.redirect_stderr(io.StringIO()):
            pipe = StableDiffusionPipeline.from_pretrained(
                self.base, dtype=torch.float32, local_files_only=True
            )
        pipe.set_progress_bar_config(disable=True)
        return pipe

    @cached_property
    def files(self) -> dict[str, lf.LoRA]:
        """The LoRAs by name, read once."""
        return {path.stem: lf.read(path) for path in sorted(self.loras.glob("*.safetensors"))}

    @cached_property
    def library(self) -> lf.Library:
        """The LoRAs as a library, for routing."""
        return lf.Library(self.loras)

    @cached_property
    def fingerprint(self) -> str:
        """12 hex digits over all weights that decide a picture; those of the scorers do not."""
        digest = hashlib.sha256()
        for path in self.painters():
            digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()[:12]

    def painters(self) -> list[Path]:
        """The files that decide a picture."""
        loras = sorted(self.loras.glob("*.safetensors"))
        return [*sorted(self.base.glob("*/*.safetensors")), *loras]

    def data(self) -> list[Path]:
        """The files that decide a result."""
        return [*self.painters(), *sorted(weights.FOLDER.glob("*.safetensors"))]

    @cached_property
    def scorers(self) -> tuple[Any, Any, Any, Any]:
        """Detector, identity scorer, pocket-CLIP, naturalness."""
        return pocket.detector(), pocket.identity(), pocket.clip(), pocket.naturalness()

    def draw(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        plan: Plan | None = None,
        guidance: float = pocket.GUIDANCE,
    ) -> Pictures:
        """Pictures [n, 64, 64, 3], each from the noise of its own seed."""
        noise = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        with self._applied(plan):
            made = self.pipe(
                list(prompts), num_inference_steps=self.steps, guidance_scale=guidance,
                generator=noise,
            )  # fmt: skip
        return stacked(made.images)

    @contextlib.contextmanager
    def _applied(self, plan: Plan | None) -> Iterator[None]:
        if plan is None:
            yield
            return
        with lf.apply(self.pipe, plan):
            yield

    @torch.inference_mode()
    def decoded(self, scenes: Sequence[world.Scene]) -> Pictures:
        """True pictures of scenes, through the base's autoencoder: the best it could draw."""
        drawn = np.stack([world.render(scene) for scene in scenes])
        given = torch.from_numpy(drawn.transpose(0, 3, 1, 2).copy()).float() / 127.5 - 1
        vae = self.pipe.vae
        back = torch.cat(
            [vae.decode(vae.encode(part).latent_dist.mode()).sample for part in given.split(16)]
        )
        shown = ((back.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        return shown.permute(0, 2, 3, 1).contiguous().numpy()

    def score(
        self,
        shown: Pictures,
        prompts: Sequence[str],
        words: Sequence[Sequence[str]],
        names: Sequence[Mapping[str, str]],
    ) -> list[Score]:
        """What the scorers say.

        Args:
            shown: n pictures.
            prompts: what was asked for.
            words: class words to find, for each picture.
            names: name -> class word of individuals to recognise, for each picture. An individual
                is right where the detector finds its class as well.
        """
        detector, identity, clip, naturalness = self.scorers
        found = detector.found(
            shown, [[*of, *own.values()] for of, own in zip(words, names, strict=True)]
        )
        right = identity.right(shown, [list(own) for own in names])
        nature, aligned = naturalness.percentile(shown), clip.alignment(shown, list(prompts))
        return [
            {
                "found": found[row],
                "right": {name: right[row][name] and found[row][own[name]] for name in own},
                "naturalness": round(float(nature[row]), 4),
                "clip": round(float(aligned[row]), 4),
            }
            for row, own in enumerate(names)
        ]


def stacked(images: Sequence[Image.Image]) -> Pictures:
    """PIL images as [n, 64, 64, 3]."""
    return np.stack([np.asarray(image.convert("RGB")) for image in images])


def seed_of(text: str) -> int:
    """A seed that depends on this text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])
