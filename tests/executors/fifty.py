"""Requests through the compiled executor, counted: run as ``python -m tests.executors.fifty``.

In a process of its own, since the tests' checks of shapes stand around every function and would be compiled too.
"""

from __future__ import annotations

import gc
import json
import sys
import weakref
from typing import Any

import torch
from torch import nn

from lorafusion.executors import EXECUTORS, compiled
from lorafusion.executors.call import Call, prediction
from lorafusion.methods import plan as make_plan
from lorafusion.pipelines import apply
from lorafusion.plan import Candidate, Route
from tests import tiny
from tests.conftest import lora_of
from tests.executors.test_inject import delta_for
from tests.pipelines.test_methods import Given
from tests.pipelines.test_restore import traces

METHODS = ("merge", "switch", "composite", "fusion", "naive")
FOUND: list[int] = []


def counting(graph: Any, _: Any) -> Any:
    """A backend that runs the graph as it is."""
    FOUND.append(1)
    return graph.forward


def fifty_requests() -> dict[str, Any]:
    """Other LoRAs, weights and methods in each; every seventh against `inject`."""
    sd = tiny.pipeline("sd")
    loras = [lora_of(tiny.state_dict(sd, seed=i, rank=2 + i % 3), f"l{i}") for i in range(10)]
    before = tiny.weights(sd)
    errors = []
    for request in range(50):
        some = [loras[(request * 3 + i) % 10] for i in range(1 + request % 4)]
        chosen = tuple(Candidate(Given(lora), 1.0, 0.2 + 0.01 * request) for lora in some)
        method = METHODS[request % 5]
        plan = make_plan(method, Route("a robot", chosen), 2, strength=0.7)
        with apply(sd, plan, executor="compiled"):
            ours = tiny.call(sd, steps=2, seed=request)
        if request % 7 == 0:
            with apply(sd, plan, executor="inject"):
                right = tiny.call(sd, steps=2, seed=request)
            errors.append(tiny.relative_error(ours, right))
    left = [trace for trace in traces(sd) if "unet" in trace]
    return {
        "compilations": len(FOUND),
        "errors": errors,
        "as before": tiny.weights(sd) == before and not left,
    }


class Net(nn.Module):
    """Compiles in a moment; its argument is called as a denoiser's."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3)
        self.flat = nn.Linear(8, 64)

    def forward(self, sample: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.flat(self.conv(sample).flatten(2).transpose(1, 2)),)


def buckets() -> dict[str, Any]:
    """Compilations after each rank, and whether the module can be freed afterwards."""
    FOUND.clear()
    net = Net().requires_grad_(False)
    call = Call({"sample": torch.randn(2, 4, 6, 6)}, 2)
    compilations, errors = {}, []
    for rank in (4, 30, 33, 5):
        part = {path: delta_for(layer, rank) for path, layer in net.named_children()}
        outs = []
        for name in ("compiled", "inject"):
            with torch.no_grad(), EXECUTORS[name](net, [part]) as executor:
                (out,) = executor.predict([call], torch.tensor([[0.3]]))
                outs.append(prediction(out))
        errors.append(tiny.relative_error(*outs))
        compilations[rank] = len(FOUND)
    gone = weakref.ref(net)
    del net, executor, part
    torch._dynamo.reset()
    gc.collect()
    return {"compilations": compilations, "errors": errors, "freed": gone() is None}


if __name__ == "__main__":
    torch.set_num_threads(1)
    compiled.BACKEND = counting
    sys.stdout.write(json.dumps({"fifty": fifty_requests(), "buckets": buckets()}) + "\n")
