"""diffusers and peft make of our files what we make of them, and the other way round."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from safetensors.torch import load_file
from torch import nn

from lorafusion import formats
from lorafusion.executors.site import find_layer
from lorafusion.formats import peft_keys
from lorafusion.lora import LoRA
from tests import tiny
from tests.fixtures.keys import architectures as arch
from tests.fixtures.keys import tensors as table_tensors
from tests.formats.files import WRITABLE, assert_same, low_rank

ENDINGS = (*tiny.TARGETS, *tiny.TEXT_TARGETS, "conv2", "time_emb_proj", "downsamplers.0.conv")


def random_lora(
    pipe: Any, rank: Callable[[int], int], scale: Callable[[int], float], text: bool = True
) -> LoRA:
    """A LoRA for every part of the pipeline that diffusers can load; module i has rank(i), scale(i)."""
    deltas = {}
    for component in pipe._lora_loadable_modules:
        if component.startswith("text") and not text:
            continue
        module = getattr(pipe, component)
        shapes = (arch.text_layers if component.startswith("text") else arch.layers)(module)
        for path, shape in shapes.items():
            if path.endswith(ENDINGS):
                i = len(deltas)
                deltas[f"{component}.{path}"] = low_rank(shape, rank(i), scale(i), seed=i)
    return LoRA("random", deltas)


def loaded(pipe: Any) -> dict[str, tuple[torch.Tensor, float]]:
    """Component and path -> (the change of weight that peft applies, its scale)."""
    changes = {}
    for component in pipe._lora_loadable_modules:
        for path, module in getattr(pipe, component).named_modules():
            if isinstance(module, peft.tuners.lora.LoraLayer):
                (name,) = module.active_adapters
                changes[f"{component}.{path}"] = (
                    module.get_delta_weight(name),
                    module.scaling[name],
                )
    return changes


def assert_loads_the_same(lora: LoRA, pipe: Any, path: Path) -> None:
    pipe.load_lora_weights(path.parent, weight_name=path.name)
    theirs = loaded(pipe)
    assert len(theirs) == len(lora.deltas)
    for target, delta in lora.deltas.items():
        flat = target.replace("text_model.", "")
        change, scale = theirs[target if target in theirs else flat]
        assert scale == pytest.approx(delta.scale, rel=1e-12), target
        assert torch.allclose(change, delta.dense(), rtol=1e-5, atol=1e-6), target
    pipe.unload_lora_weights()


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_diffusers_loads_our_peft_files(kind: str, tmp_path: Path) -> None:
    pipe = tiny.pipeline(kind)
    lora = random_lora(pipe, lambda i: 1 + i % 3, lambda i: 0.3 + i % 5)
    path = tmp_path / "random.safetensors"
    formats.write(lora, path, "peft")
    assert_same(formats.read(path), lora)
    assert_loads_the_same(lora, pipe, path)


@pytest.mark.parametrize("only", ["q_proj", "fc1"])
def test_diffusers_loads_a_text_encoder_of_few_layers(only: str, tmp_path: Path) -> None:
    pipe = tiny.pipeline("sd")
    whole = random_lora(pipe, lambda i: 2, lambda i: 0.5)
    few = {path: d for path, d in whole.deltas.items() if path.endswith(("to_q", only))}
    path = tmp_path / "few.safetensors"
    formats.write(LoRA("few", few), path, "peft")
    assert_loads_the_same(LoRA("few", few), pipe, path)


# Of alphas that differ between modules, diffusers loses those of attention and text encoders.
@pytest.mark.parametrize("rank", [lambda i: 4, lambda i: 1 + i % 3])
def test_diffusers_loads_our_kohya_files(rank: Callable[[int], int], tmp_path: Path) -> None:
    pipe = tiny.pipeline("sd")
    lora = random_lora(pipe, rank, lambda i: 1.5 / rank(i))
    path = tmp_path / "random.safetensors"
    formats.write(lora, path, "kohya")
    assert_same(formats.read(path), lora)
    assert_loads_the_same(lora, pipe, path)


def test_diffusers_decodes_sdxl_names_as_we_do() -> None:
    # Shapes without values are enough, but diffusers asks for the value of alpha.
    tensors = table_tensors("kohya_sdxl")
    theirs, alphas = StableDiffusionXLPipeline.lora_state_dict(
        dict(tensors), unet_config=arch.unet("sdxl").config
    )
    assert set(alphas.values()) == {2.0}
    ours = formats.FORMATS["kohya"].read(tensors, {})
    decoded = {peft_keys.split(key.replace(".alpha", "")): value for key, value in theirs.items()}
    assert None not in decoded
    assert {target for target, _ in decoded} == set(ours)
    for (target, role), tensor in decoded.items():
        assert tensor is getattr(ours[target], role), target


def saved_by_diffusers(pipe: Any, folder: Path, **settings: Any) -> dict[str, tuple[Any, float]]:
    """Train nothing, but save an adapter as a training script does; what peft applied before."""
    modules = {"unet": ["to_q", "to_out.0", "conv1"], "text_encoder": ["q_proj", "fc1"]}
    layers, metadata = {}, {}
    for component, wanted in modules.items():
        module = getattr(pipe, component)
        config = peft.LoraConfig(target_modules=wanted, init_lora_weights=False, **settings)
        module.add_adapter(config, adapter_name="default")
        state = peft.get_peft_model_state_dict(module, adapter_name="default")
        layers[f"{component}_lora_layers"] = state
        metadata[f"{component}_lora_adapter_metadata"] = module.peft_config["default"].to_dict()
    before = loaded(pipe)
    pipe.save_lora_weights(folder, **layers, **metadata, weight_name="a.safetensors")
    return before


@pytest.mark.parametrize("settings", [
    {"r": 4, "lora_alpha": 4},
    {"r": 4, "lora_alpha": 6},
    {"r": 8, "lora_alpha": 3, "use_rslora": True},
    {"r": 4, "lora_alpha": 6, "rank_pattern": {"to_q": 2, "fc1": 3}, "alpha_pattern": {"q_proj": 1}},
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:The following .*_pattern keys did not match:RuntimeWarning")
def test_we_read_what_diffusers_writes(settings: dict[str, Any], tmp_path: Path) -> None:
    pipe = tiny.pipeline("sd")
    theirs = saved_by_diffusers(pipe, tmp_path, **settings)
    lora = formats.read(tmp_path / "a.safetensors")
    assert len(lora.deltas) == len(theirs)
    for target, delta in lora.deltas.items():
        change, scale = theirs[target if target in theirs else target.replace("text_model.", "")]
        assert delta.scale == scale
        assert torch.allclose(delta.dense(), change, rtol=1e-5, atol=1e-6)
    for form in WRITABLE:
        formats.write(lora, tmp_path / "b.safetensors", form)
        assert_same(formats.read(tmp_path / "b.safetensors"), lora)


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_every_target_is_a_layer_of_the_pipeline(kind: str, tmp_path: Path) -> None:
    pipe = tiny.pipeline(kind)
    (file,) = tiny.lora_files(pipe, tmp_path, count=1)
    lora = formats.read(file)
    assert 2 * len(lora.deltas) == len(load_file(file))
    for component in lora.components:
        for path in lora.part(component):
            assert isinstance(find_layer(getattr(pipe, component), path), nn.Module), path
