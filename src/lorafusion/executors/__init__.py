"""Executors by name."""

from __future__ import annotations

from collections.abc import Callable

from lorafusion.executors.base import Executor
from lorafusion.executors.choose import Choice, choose, choose_for
from lorafusion.registry import Registry

EXECUTORS: Registry[Callable[..., Executor]] = Registry(
    "executor",
    "lorafusion.executors",
    {
        "compiled": "lorafusion.executors.compiled:Compiled",
        "fold": "lorafusion.executors.fold:Fold",
        "inject": "lorafusion.executors.inject:Inject",
        "reference": "lorafusion.executors.reference:Reference",
    },
)

__all__ = ["EXECUTORS", "Choice", "Executor", "choose", "choose_for"]
