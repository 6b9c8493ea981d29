"""Files with something wrong in them, drawn by number: the fuzzer's half that knows the container."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from tests.formats import cells

ODD = ["", ".", "..", "../../etc/passwd", "/etc/passwd", "a\0b", "a\nb", "\u202e", "\ud800", "é" * 300,
       "unet", "unet.", "__metadata__", "lora_unet_", "diffusion_model.", "x" * 5000,
       "transformer.transformer_blocks.0\r.lora_A.weight", "lora_unet_" + "input_blocks_" * 400,
       "diffusion_model.layers.٣.attention.qkv.diff", "lora_te_text_model_²_mlp.alpha"]  # fmt: skip
HUGE = [2**31, 2**62, 2**63, 10**30, -1, -(2**63), 1.5, 1e400, None, True, "2", [], {}]
DTYPES = ["F64", "F16", "BF16", "F8_E4M3", "I64", "U8", "BOOL", "F4", "C64", "Q9", "", None, 7]

Entries = dict[str, Any]


def sound(draw: random.Random) -> bytes:
    """A good file of any dialect, family and kind."""
    dialect, family, kind = draw.choice(cells.CELLS)
    make, _ = cells.KINDS[kind]
    tensors: dict[str, Tensor] = {}
    for name, shape, _ in cells.modules(dialect, family, kind):
        tensors |= {f"{name}.{end}": t for end, t in make(shape).items()}
    config = {"r": 2, "lora_alpha": 4, "alpha_pattern": {}}
    header = {"lora_adapter_metadata": json.dumps(config)} if dialect == "peft" else {"a": "b"}
    return save(tensors, header if draw.random() < 0.5 else None)


def _parts(data: bytes) -> tuple[Entries, bytes]:
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _whole(text: bytes | Entries, body: bytes) -> bytes:
    text = text if isinstance(text, bytes) else json.dumps(text).encode()
    return len(text).to_bytes(8, "little") + text + body


def _flip(draw: random.Random, data: bytes) -> bytes:
    made = bytearray(data)
    for _ in range(draw.randint(1, 8)):
        made[draw.randrange(len(made))] ^= 1 << draw.randrange(8)
    return bytes(made)


def _flip_header(draw: random.Random, data: bytes) -> bytes:
    made = bytearray(data)
    made[draw.randrange(8 + int.from_bytes(data[:8], "little"))] = draw.randrange(256)
    return bytes(made)


def _cut(draw: random.Random, data: bytes) -> bytes:
    return data[: draw.choice([0, 1, 7, 8, 9, draw.randrange(len(data))])]


def _longer(draw: random.Random, data: bytes) -> bytes:
    return data + draw.randbytes(draw.randint(1, 64))


def _bomb(draw: random.Random, data: bytes) -> bytes:
    size = draw.choice([0, 1, len(data), len(data) - 7, 10**8, 2**40, 2**63, 2**64 - 1])
    return size.to_bytes(8, "little") + data[8:]


def _shape(draw: random.Random, data: bytes) -> bytes:
    entries, body = _parts(data)
    key = draw.choice([key for key in entries if key != "__metadata__"])
    shape = list(entries[key]["shape"]) or [1]
    shape[draw.randrange(len(shape))] = draw.choice(HUGE)
    entries[key]["shape"] = draw.choice(
        [shape, shape * 40, shape[::-1], draw.choice(HUGE), [0, 2**62]]
    )
    return _whole(entries, body)


def _regrouped(draw: random.Random, data: bytes) -> bytes:
    """The same number of numbers in another shape: it is good safetensors and a bad LoRA."""
    entries, body = _parts(data)
    for key in draw.sample(sorted(entries), min(len(entries), 3)):
        if key != "__metadata__":
            count = int(torch.Size(entries[key]["shape"]).numel())
            entries[key]["shape"] = draw.choice([[count], [1, count], [count, 1], [count, 1, 1, 1],
                                                 [1, 1, count], [1] * 8 + [count], [1, 1, 1, count]])  # fmt: skip
    return _whole(entries, body)


def _dtype(draw: random.Random, data: bytes) -> bytes:
    entries, body = _parts(data)
    key = draw.choice([key for key in entries if key != "__metadata__"])
    entries[key]["dtype"] = draw.choice(DTYPES)
    return _whole(entries, body)


def _offsets(draw: random.Random, data: bytes) -> bytes:
    entries, body = _parts(data)
    key = draw.choice([key for key in entries if key != "__metadata__"])
    offsets = entries[key]["data_offsets"]
    offsets[draw.randrange(2)] = draw.choice([*HUGE, 0, 4, len(body)])
    entries[key]["data_offsets"] = draw.choice([offsets, offsets[::-1], offsets[:1], offsets * 2])
    return _whole(entries, body)


def _renamed(draw: random.Random, data: bytes) -> bytes:
    entries, body = _parts(data)
    key = draw.choice([key for key in entries if key != "__metadata__"])
    name, dot, end = key.partition(".")
    odd = draw.choice(ODD)
    new = draw.choice([odd, f"{odd}.{end}", f"{name}{dot}{odd}", key + odd, key.replace(".", ".." + odd),
                       key.replace("a", "ä"), key.upper(), key.replace("3", "99999999999999")])  # fmt: skip
    return _whole({(new if k == key else k): v for k, v in entries.items()}, body)


def _twice(draw: random.Random, data: bytes) -> bytes:
    entries, body = _parts(data)
    key = draw.choice(sorted(entries))
    text = json.dumps(entries)
    return _whole((text[:-1] + "," + json.dumps({key: entries[key]})[1:]).encode(), body)


def _lost(draw: random.Random, data: bytes) -> bytes:
    """One tensor less, and the rest moved up: it is good safetensors and half a LoRA."""
    entries, body = _parts(data)
    key = draw.choice([key for key in entries if key != "__metadata__"])
    start, end = entries.pop(key)["data_offsets"]
    for entry in entries.values():
        if "data_offsets" in entry and entry["data_offsets"][0] >= end:
            entry["data_offsets"] = [at - (end - start) for at in entry["data_offsets"]]
    return _whole(entries, body[:start] + body[end:])


def _header(draw: random.Random, data: bytes) -> bytes:
    entries, body = _parts(data)
    deep = draw.choice([100, 5000, 200_000])
    text: bytes | Entries = draw.choice([
        b"{" + b" " * 1000, b"[" * deep, b'{"a":' * deep, b'{"a":' * deep + b"1" + b"}" * deep, b"{}",
        b"{" + json.dumps(entries).encode(), b'{"a":' + b"9" * deep + b"}", b"\xff\xfe", b"{\0}", b"{null}",
        {"__metadata__": draw.choice(HUGE)} | entries, {"a": draw.choice(HUGE)} | entries,
        {"__metadata__": {"a": draw.choice(HUGE)}} | entries,
    ])  # fmt: skip
    return _whole(text, body)


def _settings(draw: random.Random, data: bytes) -> bytes:
    entries, body = _parts(data)
    values = [*HUGE, "(a+)+$", "(.*)*" * 20, {"(x+x+)+y": 1}, {".*.*.*": 2}, {"": 1e308}, "nan"]
    names = ["r", "lora_alpha", "alpha_pattern", "rank_pattern", "use_dora", "peft_type", "unet.r", ".r",
             "init_lora_weights", "use_rslora"]  # fmt: skip
    config = json.dumps({draw.choice(names): draw.choice(values) for _ in range(3)})
    own = {"lora_adapter_metadata": draw.choice([config, "[" * 100_000, "NaN", "", "{" * 9]),
           "lorafusion.scales": draw.choice(["[" * 100_000, '{"a": 1e999}', "7"]),
           "lorafusion.triggers": draw.choice(["[[]]", '["\\ud800"]', "{}"])}  # fmt: skip
    return _whole(entries | {"__metadata__": own}, body)


def _values(draw: random.Random, data: bytes) -> bytes:
    entries, body = _parts(data)
    bad = draw.choice([float("nan"), float("inf"), 1e38, -1e38, 1e-45, 0.0])
    made = bytearray(body)
    at = draw.randrange(max(len(body) // 4, 1)) * 4
    made[at : at + 4] = torch.tensor(bad).numpy().tobytes()
    return _whole(entries, bytes(made))


def _bombs_of_rank(draw: random.Random, _data: bytes) -> bytes:
    """Small factors of enormous products."""
    n = draw.choice([200, 20_000])
    name = draw.choice(["lora_unet_conv_in", "diffusion_model.double_blocks.0.img_attn.qkv"])
    kinds = [
        {"lokr_w1": torch.ones(1, 1), "lokr_w2_a": torch.ones(3 * n, 1), "lokr_w2_b": torch.ones(1, n)},
        {"lokr_w1_a": torch.ones(7 * n, 1), "lokr_w1_b": torch.ones(1, n),
         "lokr_w2_a": torch.ones(7 * n, 1), "lokr_w2_b": torch.ones(1, n)},
        {"lora_mid.weight": torch.ones(1, 1, n, 3), "lora_down.weight": torch.ones(1, n, 1, 1),
         "lora_up.weight": torch.ones(n, 1, 1, 1)},
        {"lora_mid.weight": torch.ones(n, 1, 3, 3), "lora_down.weight": torch.ones(1, n, 1, 1),
         "lora_up.weight": torch.ones(4, n, 1, 1)},
        {"hada_t1": torch.ones(n, 1), "hada_w1_a": torch.ones(n, n // 100), "hada_w1_b": torch.ones(1, n),
         "hada_w2_a": torch.ones(n, 1), "hada_w2_b": torch.ones(1, n)},
        {"lora_down.weight": torch.ones(1, n), "lora_up.weight": torch.ones(3 * n, 1),
         "dora_scale": torch.ones(3 * n, 1)},
    ]  # fmt: skip
    return save({f"{name}.{ending}": tensor for ending, tensor in draw.choice(kinds).items()})


MUTATIONS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _flip, _flip_header, _cut, _longer, _bomb, _shape, _regrouped, _dtype, _offsets, _renamed, _twice,
    _lost, _header, _settings, _values, _bombs_of_rank,
)  # fmt: skip


def mutant(number: int) -> tuple[str, bytes]:
    """The name of a mutation and the file that it made; the same for the same number."""
    draw = random.Random(number)
    torch.manual_seed(number)
    mutation = MUTATIONS[number % len(MUTATIONS)]
    return mutation.__name__.strip("_"), mutation(draw, sound(draw))
