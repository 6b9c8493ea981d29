"""Judge: a small network that tells a penguin from pocket's characters, trained on rendered scenes alone.

It has seen no picture that a model made, and none of those that the LoRA learns from.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy

from benchmarks.training import concept
from lorafusion.pocket import world

WORDS = (concept.CLASS, *world.words("character"))
_SEED = 2_000_000
_ALONE = {"character": 1.0, "clothing": 0.0, "object": 0.0, "background": 0.8, "style": 0.0}


class Judge:
    """A trained judge.

    Attributes:
        accuracy: on rendered scenes that it was not trained on.
    """

    def __init__(self, each: int = 80, rounds: int = 10) -> None:
        """Train.

        Args:
            each: rendered scenes of each class; a quarter as many are held out.
            rounds: passes over them.
        """
        torch.manual_seed(0)
        channels = (3, 24, 48, 96, 96)
        layers: list[nn.Module] = []
        for one, two in pairwise(channels):
            layers += [nn.Conv2d(one, two, 3, 2, 1), nn.BatchNorm2d(two), nn.ReLU()]
        self._net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(96 * 16, len(WORDS)))
        shown, labels = _scenes(each, 0)
        optimiser = torch.optim.AdamW(self._net.parameters(), 2e-3, weight_decay=0.05)
        for _ in range(rounds):
            for rows in torch.randperm(len(shown)).split(64):
                loss = cross_entropy(self._net(_worn(shown[rows])), labels[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        self._net.eval()
        held, right = _scenes(each // 4, each)
        self.accuracy = float((self._answers(held) == right).float().mean())

    def share(self, images: Sequence[Image.Image], word: str) -> float:
        """The share of images that show this character rather than any other."""
        batch = torch.stack([_tensor(image) for image in images])
        return float((self._answers(batch) == WORDS.index(word)).float().mean())

    @torch.no_grad()
    def _answers(self, batch: Tensor) -> Tensor:
        answers = self._net(batch).argmax(1)
        assert isinstance(answers, Tensor)
        return answers


def _scenes(each: int, first: int) -> tuple[Tensor, Tensor]:
    """Rendered scenes [n, 3, 64, 64] with one character each, and their classes [n]."""
    images, labels = [], []
    for label, word in enumerate(WORDS):
        for number in range(first, first + each):
            if word == concept.CLASS:
                images.append(_tensor(concept.picture(_SEED, number)[0]))
            else:
                seed = _SEED + 1000 * label + number
                wanted = {"character": world.Element(word, number)}
                scene = world.sample(seed, wanted, _ALONE)  # type: ignore[arg-type]  # keys are Categories
                images.append(_tensor(Image.fromarray(world.render(scene))))
            labels.append(label)
    return torch.stack(images), torch.tensor(labels)


def _tensor(image: Image.Image) -> Tensor:
    """[3, 64, 64], -1 to 1."""
    pixels = np.asarray(image.convert("RGB"), np.float32) / 127.5 - 1
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _worn(batch: Tensor) -> Tensor:
    """Shifted, half of them blurred, all noisy: models draw less sharply than the renderer."""
    batch = batch.roll((int(torch.randint(-4, 5, ())), int(torch.randint(-4, 5, ()))), (2, 3))
    blurred = avg_pool2d(batch, 3, 1, 1, count_include_pad=False)
    soft = torch.rand(len(batch), 1, 1, 1) < 0.5
    return torch.where(soft, blurred, batch) + 0.1 * torch.randn_like(batch)
