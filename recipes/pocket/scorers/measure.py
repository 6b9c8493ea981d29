"""How good the scorers are, on pictures that nothing was learned from or chosen on."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

from lorafusion.pocket import world
from lorafusion.pocket.scorers import Clip, Detector, Identity, Naturalness
from lorafusion.pocket.scorers.answers import Answers
from recipes.pocket.scorers import broken
from recipes.pocket.scorers.clip import wrong
from recipes.pocket.scorers.pool import to_bytes, to_unit
from recipes.pocket.scorers.scenes import NAMES, UNKNOWN, WORDS, Near, labels, scene

Bytes = NDArray[np.uint8]


def pictures(scenes: Sequence[world.Scene], vae: AutoencoderKL | None = None) -> Bytes:
    """Scenes rendered, and through the autoencoder where one is given: [n, 64, 64, 3]."""
    drawn = np.stack([world.render(one) for one in scenes])
    return drawn if vae is None else through(vae, drawn)


def through(vae: AutoencoderKL, drawn: Bytes) -> Bytes:
    """Pictures through the autoencoder, in float32."""
    parts = tensors(drawn).split(64)
    return arrays(torch.cat([broken.through(vae, part, half=False)[1] for part in parts]))


def tensors(drawn: Bytes) -> Tensor:
    """[n, 64, 64, 3] bytes as [n, 3, 64, 64] in -1 to 1."""
    return to_unit(torch.from_numpy(drawn).permute(0, 3, 1, 2))


def arrays(shown: Tensor) -> Bytes:
    """[n, 3, 64, 64] in -1 to 1 as [n, 64, 64, 3] bytes."""
    return to_bytes(shown).permute(0, 2, 3, 1).contiguous().numpy()


def right(scorer: Answers, shown: Bytes, marks: Tensor, names: Sequence[Sequence[str]]) -> Tensor:
    """Whether the scorer's answer is right, [n, 5]: the one label that passes, or none.

    Args:
        scorer: detector or identity scorer.
        shown: n pictures.
        marks: [n, 5] labels.
        names: what they are called, by category.
    """
    likely = scorer.probabilities(shown)
    columns = []
    for place, category in enumerate(world.CATEGORIES):
        assert list(scorer.labels[category]) == list(names[place])
        passed = likely[category][:, 1:] >= scorer.thresholds[category]
        wanted = torch.zeros_like(passed)
        there = marks[:, place] > 0
        wanted[there, marks[there, place] - 1] = True
        columns.append((passed == wanted).all(dim=1))
    return torch.stack(columns, dim=1)


def shares(hits: Tensor, chosen: Tensor) -> dict[str, float]:
    """Share of right answers by category and of all, among the chosen ones, both [n, 5]."""
    found = {
        category: float(hits[:, place][chosen[:, place]].float().mean())
        for place, category in enumerate(world.CATEGORIES)
        if chosen[:, place].any()
    }
    return {key: round(value, 4) for key, value in found.items()} | {
        "all": round(float(hits[chosen].float().mean()), 4)
    }


def accuracy(folder: Path, scenes: Sequence[world.Scene], shown: Bytes) -> dict[str, object]:
    """Accuracy of detector and identity scorer on whole pictures.

    Args:
        folder: where the weights are.
        scenes: n scenes.
        shown: their pictures.
    """
    marks = torch.tensor([labels(one) for one in scenes])
    classes, individuals = marks[:, 0], marks[:, 1]
    seen = right(Detector(folder), shown, classes, list(WORDS.values()))
    same = right(Identity(folder), shown, individuals, list(NAMES.values()))
    known = individuals != UNKNOWN
    near = torch.tensor([
        [isinstance(one.elements().get(category), Near) for category in world.CATEGORIES]
        for one in scenes
    ])  # fmt: skip
    return {
        "pictures": len(shown),
        "detector": {
            "accuracy": shares(seen, torch.ones_like(seen)),
            "found, of those shown": shares(seen, classes > 0),
            "nothing, where nothing is": shares(seen, classes == 0),
        },
        "identity": {
            "accuracy": shares(same, known),
            "right, of individuals": shares(same, individuals > 0),
            "refused, of siblings": shares(
                same, known & (individuals == 0) & (classes > 0) & ~near
            ),
            "refused, of near siblings": shares(same, known & near & (individuals == 0)),
        },
    }


def strictness(folder: Path, shown: Bytes, vae: AutoencoderKL) -> dict[str, object]:
    """Share of broken pictures in which no character, garment or object is found, by kind."""
    whole, draw = tensors(shown), torch.Generator().manual_seed(5)
    codes = torch.cat([broken.through(vae, part, False)[0] for part in whole.split(64)])
    ways = {way.__name__: partial(way, whole, draw) for way in dict.fromkeys(broken.BREAKS)}
    ways["latent"] = partial(broken.latent, vae, codes, draw, half=False)
    detector, nature = Detector(folder), Naturalness(folder)
    rows: dict[str, object] = {}
    for name, make in ways.items():
        bent = arrays(make())
        best = detector.best(bent)
        things = world.CATEGORIES[: broken.THINGS]
        empty = [not any(thing in one for thing in things) for one in best]
        far = (nature.percentile(bent) < 0.01).float().mean()
        rows[name] = {
            "pictures": len(bent),
            "nothing found": round(sum(empty) / len(empty), 4),
            "naturalness below 1%": round(float(far), 4),
        }
    return rows


def alignment(folder: Path, scenes: Sequence[world.Scene], shown: Bytes) -> dict[str, object]:
    """How often CLIP prefers the right caption to one with a wrong class, by that class's category."""
    clip, tries = Clip(folder), []
    for row, one in enumerate(scenes):
        for category in one.elements():
            draw = int(np.random.default_rng([one.seed, 13]).integers(1 << 20))
            texts = [world.caption(each, 0, 0.0) for each in (one, wrong(one, category, draw))]
            tries.append((row, category, texts))
    rows = torch.tensor([row for row, _, _ in tries])
    seen = clip.pictures(shown)[rows]
    yes = (seen * clip.texts([texts[0] for _, _, texts in tries])).sum(dim=1)
    no = (seen * clip.texts([texts[1] for _, _, texts in tries])).sum(dim=1)
    won = yes > no
    of = {
        category: torch.tensor([each == category for _, each, _ in tries])
        for category in world.CATEGORIES
    }
    found = {category: round(float(won[mine].float().mean()), 4) for category, mine in of.items()}
    return {"captions": len(tries), "right preferred": found | {
        "all": round(float(won.float().mean()), 4)
    }}  # fmt: skip


def nature(folder: Path, shown: Bytes) -> dict[str, float]:
    """Naturalness of true pictures: by design half of them are above 0.5, and 1% are below 0.01."""
    found = Naturalness(folder).percentile(shown)
    return {
        "mean percentile": round(float(found.mean()), 4),
        "at least 1%": round(float((found >= 0.01).float().mean()), 4),
    }


def scenes(first: int, count: int) -> list[world.Scene]:
    """Scenes of these seeds."""
    return [scene(seed) for seed in range(first, first + count)]
