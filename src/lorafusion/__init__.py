"""lorafusion: a prompt and a folder of LoRAs become one composed image.

Names are imported when they are first used, so that ``import lorafusion`` costs nothing.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from lorafusion.lazy import imported
from lorafusion.version import __version__

if TYPE_CHECKING:
    from lorafusion import errors as errors
    from lorafusion import pocket as pocket
    from lorafusion.formats import read as read
    from lorafusion.formats import write as write
    from lorafusion.generate import again as again
    from lorafusion.generate import generate as generate
    from lorafusion.generate import generate_many as generate_many
    from lorafusion.library import Library as Library
    from lorafusion.lora import LoRA as LoRA
    from lorafusion.methods import plan as plan
    from lorafusion.pipelines import apply as apply
    from lorafusion.plan import Plan as Plan
    from lorafusion.plan import Route as Route
    from lorafusion.record import Record as Record
    from lorafusion.routing import route as route

_HOMES = {
    "LoRA": "lora",
    "Library": "library",
    "Plan": "plan",
    "Record": "record",
    "Route": "plan",
    "again": "generate",
    "apply": "pipelines",
    "generate": "generate",
    "generate_many": "generate",
    "plan": "methods",
    "read": "formats",
    "route": "routing",
    "write": "formats",
}
_MODULES = ("errors", "pocket")

__all__ = [
    "Library",
    "LoRA",
    "Plan",
    "Record",
    "Route",
    "__version__",
    "again",
    "apply",
    "errors",
    "generate",
    "generate_many",
    "plan",
    "pocket",
    "read",
    "route",
    "write",
]


_named = imported(__name__, _HOMES)


def __getattr__(name: str) -> object:
    """Import a public module, or the home of a public name (PEP 562)."""
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    return _named(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """This package, where ``plan`` and ``generate`` are functions whatever was imported before.

    The import system binds every imported submodule to its package: ``import lorafusion.plan``
    would replace the function ``lorafusion.plan`` by the module of that name. This one binding is
    ignored. ``from lorafusion.plan import Plan`` does not go through it.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
