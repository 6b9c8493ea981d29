"""Executors by name."""

from __future__ import annotations

from collections.abc import Callable

from lorafusion.executors.base import Executor
from lorafusion.executors.choose import Choice, choose
from lorafusion.registry import Registry

EXECUTORS: Registry[Callable[..., Executor]] = Registry(
    "executor",
    "lorafusion.executors",
    {
        "fold": "lorafusion.executors.fold:Fold",
        "inject": "lorafusion.executors.inject:Inject",
        "reference": "lorafusion.executors.reference:Reference",
    },
)

__all__ = ["EXECUTORS", "Choice", "Executor", "choose"]
