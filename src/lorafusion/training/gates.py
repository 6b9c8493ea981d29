"""Gates: MoLE's training, in which only the gates of the blocks learn (arXiv:2404.13628, section 3.3)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lorafusion.errors import BadOption
from lorafusion.gating import BlockGate, LearnedGates
from lorafusion.generate.describe import fingerprint
from lorafusion.lora import LoRA
from lorafusion.pipelines.match import check
from lorafusion.training import checkpoint
from lorafusion.training.blocks import block_widths
from lorafusion.training.checkpoint import Entry
from lorafusion.training.differentiable import Differentiable
from lorafusion.training.draw import Brush
from lorafusion.training.layers import frozen
from lorafusion.training.loop import OnStep, Run, go, optimiser_of
from lorafusion.training.mixing import Mixing
from lorafusion.training.objective import Objective
from lorafusion.training.recipe import Recipe
from lorafusion.training.scenes import scenes
from lorafusion.version import __version__


@dataclass(frozen=True)
class Task:
    """What gates are to weigh.

    Attributes:
        loras: N of them, by the names that they will be chosen under.
        phrases: what each of them shows, in words.
        prompts: of pictures with all of them; their phrases in a row when empty.
        pictures: of each phrase, and of the prompts, that the gates learn from.
        balance: alpha, what the balancing loss counts; 0 for none.
    """

    loras: Sequence[LoRA]
    phrases: Sequence[str]
    prompts: Sequence[str] = ()
    pictures: int = 8
    balance: float = 0.5

    def __post_init__(self) -> None:
        names = [lora.name for lora in self.loras]
        if len(names) < 2 or len(set(names)) < len(names):
            raise BadOption(
                f"gates are for two LoRAs and more, each once; given: {', '.join(names) or 'none'}"
            )
        if self.pictures < 1 or not 0 <= self.balance < float("inf"):
            raise BadOption(
                f"pictures is {self.pictures} and balance {self.balance}; give at least 1 picture, and a balance "
                "of 0 or more"
            )

    @property
    def whole(self) -> tuple[str, ...]:
        """The prompts of pictures with all LoRAs."""
        return tuple(self.prompts) or (", ".join(self.phrases),)


@dataclass(frozen=True)
class TrainedGates:
    """Finished gates.

    Attributes:
        gates: what was learned.
        curve: losses, an entry for each checkpoint.
        resumed_at: steps that an earlier run had done; 0 when there was none.
        shares: name -> its mean weight over blocks, while the prompts of all are drawn.
        metadata: how they were made, for the file's header.
    """

    gates: LearnedGates
    curve: tuple[Entry, ...]
    resumed_at: int
    shares: Mapping[str, float]
    metadata: Mapping[str, str]


def train_gates(
    pipe: Any,
    task: Task,
    recipe: Recipe,
    work: Path,
    *,
    brush: Brush | None = None,
    on_picture: Callable[[int, int], object] | None = None,
    on_step: OnStep | None = None,
    restart: bool = False,
) -> TrainedGates:
    """Train gates, or go on with a training that was stopped; the pipeline is left as it was.

    The loss is L = L_D + alpha L_balance (equation 9). The paper's L_D asks CLIP how well the picture fits
    the whole text and each part of it, and nothing in a pipeline can say that. Here both are asked of the
    prediction, see `Mixing`: the parts are what each LoRA alone does for its own phrase, the whole what
    all do for a prompt of all.

    Args:
        pipe: a diffusers pipeline with a unet.
        task: which LoRAs, and what they show.
        recipe: how to train; of it steps, batch, accumulate, rate, size, seed and save_every count.
        work: folder of the checkpoint, made if it is missing.
        brush: how the pictures are made that the gates learn from.
        on_picture: ``on_picture(done, all)``.
        on_step: ``on_step(done, all, loss)``.
        restart: begin anew, whatever the work folder holds.

    Raises:
        WrongBase: a LoRA does not fit, or the pipeline cannot be trained so.
        BadOption: a checkpoint of other settings.
        RunError: the loss is no finite number any more.
        NotWritable: the work folder refuses.
    """
    for lora in task.loras:
        check(pipe, lora)
    objective = Objective.of(pipe, 0.0)
    settings = _settings(pipe, task, recipe, brush or Brush())
    if restart:
        checkpoint.forget(work)
    checkpoint.make(work)
    shown = scenes(pipe, task.loras, task.phrases, task.whole, task.pictures, brush or Brush(),
                   recipe.size, on_picture)  # fmt: skip
    parts = [lora.part("unet") for lora in task.loras]
    with frozen(pipe), Differentiable(pipe.unet, parts) as executor:
        learner = _Gates.even(task.loras, block_widths(pipe, task.loras, shown[-1]))
        mixing = Mixing(pipe.unet, executor, learner.gates, shown, objective, recipe, task.balance)
        weights, optimiser = learner.parameters("unet"), optimiser_of(learner, recipe)
        curve = checkpoint.restore(work / checkpoint.FILE, weights, optimiser, settings)
        begun = curve[-1].step if curve else 0
        run = Run(recipe, mixing.loss, weights, optimiser, curve)
        go(run, work / checkpoint.FILE, settings, on_step)
        shares = mixing.shares()
    made = {"lorafusion.kind": "gates", "lorafusion.version": __version__,
            "lorafusion.recipe": json.dumps(settings, sort_keys=True)}  # fmt: skip
    return TrainedGates(learner.fixed(), tuple(run.curve), begun, shares, made)


class _Gates:
    """The gates as a learner: a matrix and the logarithm of a temperature for each block.

    The temperature is learned as a logarithm, so that it stays over 0.
    """

    components = ("unet",)

    def __init__(self, names: tuple[str, ...], hashes: Mapping[str, str], even: LearnedGates):
        self._names, self._hashes = names, hashes
        self._parameters = {
            f"{path}.{part}": nn.Parameter(value.clone())
            for path, gate in even.blocks.items()
            for part, value in (("projection", gate.projection), ("temperature", gate.temperature.log()))
        }  # fmt: skip
        self._paths = tuple(even.blocks)

    @classmethod
    def even(cls, loras: Sequence[LoRA], widths: Mapping[str, int]) -> _Gates:
        """All LoRAs alike in every block."""
        names = tuple(lora.name for lora in loras)
        hashes = {lora.name: lora.sha256 for lora in loras}
        return cls(names, hashes, LearnedGates.even(names, widths))

    def parameters(self, component: str) -> dict[str, nn.Parameter]:
        """Name -> what is trained of one component."""
        return self._parameters if component in self.components else {}

    def gates(self) -> LearnedGates:
        """The gates of now, through which gradients pass."""
        return self._made(lambda one: one)

    def fixed(self) -> LearnedGates:
        """The gates of now, alone."""
        return self._made(lambda one: one.detach().clone())

    def _made(self, taken: Callable[[Tensor], Tensor]) -> LearnedGates:
        own = self._parameters
        blocks = {
            path: BlockGate(
                taken(own[f"{path}.projection"]), taken(own[f"{path}.temperature"]).exp()
            )
            for path in self._paths
        }
        return LearnedGates(self._names, blocks, self._hashes)


def _settings(pipe: Any, task: Task, recipe: Recipe, brush: Brush) -> dict[str, object]:
    """What decides the gates."""
    numbers = ("steps", "batch", "accumulate", "rate", "size", "seed")
    return {
        "kind": "gates",
        **{name: getattr(recipe, name) for name in numbers},
        "LoRAs": {lora.name: lora.sha256 for lora in task.loras},
        "phrases": list(task.phrases),
        "prompts": list(task.whole),
        "pictures": task.pictures,
        "balance": task.balance,
        "brush": asdict(brush),
        "base model": fingerprint(pipe),
    }


def largest(shares: Mapping[str, float]) -> tuple[str, float]:
    """The LoRA with the largest share, and that share."""
    name = max(shares, key=lambda one: shares[one])
    return name, shares[name]
