"""What every executor promises, and the one way to put a function in place of another for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from lorafusion.executors.call import Call


@runtime_checkable
class Executor(Protocol):
    """Gates LoRAs inside one module, for as long as its `with` block lasts.

    On leaving, whatever happened inside, every parameter and buffer of the module is what it was, bit for
    bit, and nothing of the executor is left in it.
    """

    def __enter__(self) -> Executor:
        """Prepare; every LoRA is closed until `set`."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put everything back."""

    def set(self, gates: Float[Tensor, " l"]) -> None:
        """Open the LoRAs this far for every plain call of the module from now on."""

    def predict(self, calls: Sequence[Call], gates: Float[Tensor, "b l"]) -> list[Any]:
        """Run the module once per branch, branch b with gates[b]; returns what it returned, B times."""


@contextmanager
def replaced(owner: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Let `function` stand in for the attribute `name` of this one object, then put back what was there."""
    before = vars(owner).get(name)
    had = name in vars(owner)
    setattr(owner, name, function)
    try:
        yield
    finally:
        if had:
            setattr(owner, name, before)
        else:
            delattr(owner, name)
