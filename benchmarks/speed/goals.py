"""What the figures are to be: one goal a line of the page's table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.speed.steps import SHARES

Row = dict[str, Any]


@dataclass(frozen=True)
class Goal:
    """What a figure is to be.

    Attributes:
        title: what is measured, in words.
        takes: whether a row is about it.
        value: (median, least, most) of the row's figure.
        bound: that the median is to keep.
        most: whether the bound is the most it may be, or the least.
    """

    title: str
    takes: Callable[[Row], bool]
    value: Callable[[Row], dict[str, float]]
    bound: float
    most: bool = True

    def held(self, row: Row) -> bool:
        """Whether the median keeps the bound."""
        seen = self.value(row)["median"]
        return seen <= self.bound if self.most else seen >= self.bound


def _is(
    experiment: str, malloc: str = "", device: str = "cpu", **sizes: object
) -> Callable[[Row], bool]:
    sizes = {"model": "sd15"} | sizes

    def takes(row: Row) -> bool:
        case = row["case"]
        return (
            case["experiment"] == experiment
            and case["device"] == device
            and malloc in ("", row["malloc"])
            and all(case[name] == value for name, value in sizes.items())
        )

    return takes


def _found(*path: str) -> Callable[[Row], dict[str, float]]:
    def value(row: Row) -> dict[str, float]:
        at: Any = row["found"]
        for name in path:
            at = at[name]
        seen: dict[str, float] = (
            at if isinstance(at, dict) else dict.fromkeys(("median", "least", "most"), at)
        )
        return seen

    return value


ABOVE_BASE, ABOVE_QUICK = SHARES
BASE = "ratio to base"
PEFT = "`inject`'s time above the base as a share of peft's"
LORAS = "`inject`'s time above the quick base as a share of peft's above its own"
GOALS = (
    Goal(
        "One step, five LoRAs, `inject`: time of the bare base",
        _is("step", latent=32, loras=5),
        _found(BASE, "inject"),
        1.05,
    ),
    *(
        Goal(
            f"One step, {loras} LoRAs, latent {latent}, `fold`: time of the bare base",
            _is("step", latent=latent, loras=loras),
            _found(BASE, "fold"),
            1.05,
        )
        for loras, latent in ((5, 32), (20, 16), (20, 32), (5, 64))
    ),
    *(
        Goal(
            f"Layers, latent {latent}: {title}",
            _is("layers", malloc, latent=latent),
            _found(share, "inject"),
            bound,
        )
        for latent, malloc, bound in ((64, "tuned", 0.1), (32, "", 0.25), (16, "", 1.0))
        for title, share in ((PEFT, ABOVE_BASE), (LORAS, ABOVE_QUICK))
    ),
    *(
        Goal(
            f"New weights, {loras} loaded: times faster than `set_adapters`",
            _is("gates", loras=loras),
            _found("times faster"),
            bound,
            most=False,
        )
        for loras, bound in ((20, 100), (3, 40))
    ),
    *(
        Goal(
            f"New weights folded, {loras} loaded: times faster than unfuse, set, fuse",
            _is("folds", malloc, loras=loras),
            _found("times faster"),
            bound,
            most=False,
        )
        for loras in (3, 20)
        for malloc, bound in (("default", 6), ("tuned", 4))
    ),
    *(
        Goal(
            f"Composite of {loras}, latent 16: time of the published loop",
            _is("composite", loras=loras, latent=16),
            _found("ratio to the loop"),
            bound,
        )
        for loras, bound in ((2, 0.75), (3, 0.62), (5, 0.55))
    ),
    *(
        Goal(
            f"Composite of {loras}, latent 16: time of the bare base on as many rows",
            _is("composite", loras=loras, latent=16),
            _found("ratio to the base in one batch"),
            1.05,
        )
        for loras in (2, 3, 5)
    ),
    Goal("A switch: share of a step", _is("switch"), _found("share of a step"), 0.01),
    *(
        Goal(
            f"The {name} file to ready: times faster than `load_lora_weights`",
            _is("loads"),
            _found(f"{name}: times faster"),
            bound,
            most=False,
        )
        for name, bound in (("first", 8), ("last", 25))
    ),
    Goal(
        "Four prompts, four mixtures, latent 8: time of peft one by one",
        _is("mixed", latent=8),
        _found("ratio to one by one"),
        0.5,
    ),
    Goal(
        "On a GPU: `fold` of a mixture for SDXL, times a copy of the weights",
        _is("folds", device="cuda", model="sdxl"),
        _found("times a copy of the weights"),
        3.0,
    ),
    *(
        Goal(
            f"On a GPU: one step of {model}, five LoRAs, {name}",
            _is(experiment, device="cuda", model=model, loras=5),
            _found(ratio, *more),
            1.1,
        )
        for model in ("sd15", "sdxl")
        for experiment, name, ratio, more in (
            ("step", "`inject`: time of the bare base", BASE, ("inject",)),
            ("compiled", "`compiled`: time of the compiled base", "ratio to the base compiled", ()),
        )
    ),
)
