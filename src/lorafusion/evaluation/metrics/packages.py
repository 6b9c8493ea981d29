"""Measures of other packages, where those are installed: image quality and learned preference."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image

from lorafusion.errors import BadOption
from lorafusion.evaluation.metrics.shown import Shown


class Packaged:
    """One value an image, as another package gives it.

    Args:
        name: of the measure.
        text: for `about`.
        value: of an image and its prompt.
    """

    def __init__(self, name: str, text: str, value: Callable[[Image.Image, str], float]) -> None:
        self._name, self._text, self._value = name, text, value

    @property
    def about(self) -> str:
        """The package and its version."""
        return self._text

    def __call__(self, shown: Sequence[Shown]) -> list[dict[str, float]]:
        """As `Metric`."""
        return [{self._name: self._value(one.image, one.combination.prompt)} for one in shown]


def quality(measure: str = "musiq") -> Packaged:
    """Image quality without a reference, by pyiqa.

    Raises:
        BadOption: pyiqa is not installed, has no such measure, or one where less is better.
    """
    package = imported("pyiqa", "pyiqa")
    try:
        model: Any = package.create_metric(measure)
    except Exception as error:  # pyiqa raises many kinds
        raise BadOption(f"pyiqa measure {measure!r} cannot be made: {_line(error)}") from error
    sign = -1.0 if getattr(model, "lower_better", False) else 1.0

    def value(image: Image.Image, prompt: str) -> float:  # noqa: ARG001  quality asks for no prompt
        array = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
        return sign * float(model(torch.from_numpy(array).permute(2, 0, 1)[None]))

    turned = ", its sign turned so that greater is better" if sign < 0 else ""
    return Packaged(f"pyiqa_{measure}", f"{measure} by {_version(package)}{turned}", value)


def image_reward(model: str = "ImageReward-v1.0") -> Packaged:
    """ImageReward (Xu et al., NeurIPS 2023), by its own package.

    Raises:
        BadOption: image-reward is not installed.
    """
    package = imported("ImageReward", "image-reward")
    loaded: Any = package.load(model)
    return Packaged(
        "image_reward",
        f"{model} by {_version(package)}",
        lambda image, prompt: float(loaded.score(prompt, image.convert("RGB"))),
    )


def hps(version: str = "v2.1") -> Packaged:
    """Human Preference Score v2 (Wu et al., 2023), by its own package.

    Raises:
        BadOption: hpsv2 is not installed.
    """
    package = imported("hpsv2", "hpsv2")
    return Packaged(
        f"hps_{version}",
        f"HPS {version} by {_version(package)}",
        lambda image, prompt: float(
            package.score(image.convert("RGB"), prompt, hps_version=version)[0]
        ),
    )


def imported(module: str, package: str) -> ModuleType:
    """An optional package.

    Raises:
        BadOption: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BadOption(
            f"package {package!r} cannot be imported ({_line(error)}); pip install {package}"
        ) from None


def _version(package: ModuleType) -> str:
    return f"{package.__name__} {getattr(package, '__version__', '(no version)')}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
