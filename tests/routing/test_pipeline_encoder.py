from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import cpu_offload
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from lorafusion.errors import BadOption
from lorafusion.library import Encoder, Library
from lorafusion.routing import PipelineEncoder, route
from tests import tiny


def parts(seed: int = 0, kind: type = CLIPTextModel) -> SimpleNamespace:
    """What PipelineEncoder needs of a pipeline: a tiny CLIP text encoder and its tokenizer."""
    torch.manual_seed(seed)
    return SimpleNamespace(text_encoder=kind(tiny.clip_config()).eval(), tokenizer=tiny.tokenizer())


def pooled(pipe: Any, text: str) -> torch.Tensor:
    """As diffusers encodes a prompt: padded to the window, pooled at the end of the text."""
    ids = pipe.tokenizer(
        text, padding="max_length", max_length=24, truncation=True, return_tensors="pt"
    ).input_ids
    with torch.no_grad():
        output = pipe.text_encoder(ids)
    row = output.text_embeds if hasattr(output, "text_embeds") else output.pooler_output
    return functional.normalize(row[0].float(), dim=0)


@pytest.mark.parametrize("kind", [CLIPTextModel, CLIPTextModelWithProjection])
def test_a_row_is_the_pooled_text(kind: type) -> None:
    pipe = parts(kind=kind)
    encoder = PipelineEncoder(pipe)
    assert isinstance(encoder, Encoder)
    texts = ["a robot", "crown", "a robot, a cat"]
    rows = encoder.encode(texts)
    assert rows.dtype == torch.float32
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(3))
    for row, text in zip(rows, texts, strict=True):
        torch.testing.assert_close(row, pooled(pipe, text), atol=1e-5, rtol=0)


def test_an_empty_text_has_a_vector_too() -> None:
    assert PipelineEncoder(parts()).encode([""]).isfinite().all()


def test_a_text_longer_than_the_window_is_averaged_over_its_pieces() -> None:
    """A window of 24 has room for 22 letters beside the two special tokens."""
    pipe = parts()
    encoder = PipelineEncoder(pipe)
    row = encoder.encode(["r" * 22 + "c" * 11])[0]
    # The letters of one word but its last one have other tokens than a word's last letter, so that
    # the two pieces are put together from ids here and not from texts.
    ids = pipe.tokenizer("r" * 22 + "c" * 11, add_special_tokens=False)["input_ids"]
    first, second = ([188, *ids[:22], 189], [188, *ids[22:], 189])
    with torch.no_grad():
        a, b = (
            functional.normalize(pipe.text_encoder(torch.tensor([x])).pooler_output[0], dim=0)
            for x in (first, second)
        )
    expected = functional.normalize(len(first) * a + len(second) * b, dim=0)
    torch.testing.assert_close(row, expected)


def test_a_long_text_says_nothing_and_its_end_counts(capfd: pytest.CaptureFixture[str]) -> None:
    encoder = PipelineEncoder(parts())
    rows = encoder.encode(["robot " * 30 + "crown", "robot " * 30 + "guitar"])
    assert not torch.allclose(rows[0], rows[1])
    assert capfd.readouterr() == ("", "")


def test_the_second_encoder_of_sdxl_is_preferred() -> None:
    first, second = parts(0), parts(1, CLIPTextModelWithProjection)
    both = SimpleNamespace(
        **vars(first), text_encoder_2=second.text_encoder, tokenizer_2=second.tokenizer
    )
    expected = PipelineEncoder(second).encode(["a robot"])
    assert torch.equal(PipelineEncoder(both).encode(["a robot"]), expected)


def test_clip_is_preferred_to_t5() -> None:
    clip = parts(0)
    flux = SimpleNamespace(
        **vars(clip), text_encoder_2=tiny.t5().eval(), tokenizer_2=tiny.t5_tokenizer()
    )
    expected = PipelineEncoder(clip).encode(["a robot"])
    assert torch.equal(PipelineEncoder(flux).encode(["a robot"]), expected)


def test_t5_alone_is_averaged_over_its_tokens() -> None:
    torch.manual_seed(0)
    t5 = SimpleNamespace(text_encoder=tiny.t5().eval(), tokenizer=tiny.t5_tokenizer())
    with torch.no_grad():
        states = t5.text_encoder(t5.tokenizer("robot crown", return_tensors="pt").input_ids)[0]
    expected = functional.normalize(states[0].mean(0), dim=0)
    torch.testing.assert_close(PipelineEncoder(t5).encode(["robot crown"])[0], expected)


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_real_pipelines_route(kind: str, library: Library) -> None:
    encoder = PipelineEncoder(tiny.pipeline(kind))
    made = route("a robot wearing a crown", library, encoder=encoder, router="cosine")
    assert sum(made.weights.values()) == pytest.approx(1)
    assert made.router.startswith(f"cosine(encoder={encoder.id},")


def test_half_precision_gives_float32() -> None:
    pipe = parts()
    pipe.text_encoder.to(torch.bfloat16)
    rows = PipelineEncoder(pipe).encode(["a robot"])
    assert rows.dtype == torch.float32
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(1))


def test_the_id_is_the_same_for_the_same_weights() -> None:
    assert PipelineEncoder(parts(3)).id == PipelineEncoder(parts(3)).id
    assert PipelineEncoder(parts(3)).id.startswith("CLIPTextModel@")


def test_any_changed_weight_changes_the_id() -> None:
    pipe = parts()
    encoder = PipelineEncoder(pipe)
    seen = {encoder.id}
    for parameter in pipe.text_encoder.parameters():
        with torch.no_grad():
            parameter.view(-1)[len(parameter.view(-1)) // 2] += 1e-3
        seen.add(encoder.id)
    assert len(seen) == 1 + len(list(pipe.text_encoder.parameters()))


def test_another_dtype_window_or_activation_changes_the_id() -> None:
    ids = {PipelineEncoder(parts()).id}
    half, shorter, other = parts(), parts(), parts()
    half.text_encoder.half()
    shorter.tokenizer.model_max_length = 20
    other.text_encoder.config.hidden_act = "gelu"
    ids |= {PipelineEncoder(pipe).id for pipe in (half, shorter, other)}
    assert len(ids) == 4


def test_encoding_does_not_change_the_id_or_the_weights() -> None:
    pipe = parts()
    encoder = PipelineEncoder(pipe)
    before, weights = encoder.id, [p.clone() for p in pipe.text_encoder.parameters()]
    encoder.encode(["a robot", "robot " * 30])
    assert encoder.id == before
    assert all(map(torch.equal, weights, pipe.text_encoder.parameters()))


def test_offloaded_weights_have_no_id() -> None:
    pipe = parts()
    encoder = PipelineEncoder(pipe)
    pipe.text_encoder.to("meta")
    assert encoder.id == ""


def test_offloaded_weights_give_the_same_rows() -> None:
    pipe = parts()
    expected = PipelineEncoder(pipe).encode(["a robot"])
    cpu_offload(pipe.text_encoder, execution_device=torch.device("cpu"))
    assert pipe.text_encoder.device.type == "meta"
    torch.testing.assert_close(PipelineEncoder(pipe).encode(["a robot"]), expected)


def test_a_pipeline_without_a_text_encoder_is_named() -> None:
    with pytest.raises(BadOption, match="SimpleNamespace has no text encoder"):
        PipelineEncoder(SimpleNamespace(unet=None))
