"""Write docs/formats.md from the cells that are tested: ``python -m tests.formats.page``."""

from __future__ import annotations

from pathlib import Path

from tests.formats import cells

_TEXT = """# Which LoRA files are read

Every tensor of a file is used, or the file is refused with one line; nothing is skipped. The table is made from
`tests/formats/cells.py`, and `tests/formats/test_cells.py` runs each cell: the change of every module, against loops
in NumPy that restate the papers (`tests/formats/oracle.py`), within 1e-5. Nor is that our word alone: LyCORIS' own
layers judge every kind in `tests/peers/test_lycoris.py`, peft's own LoHa, LoKr and DoRA layers in
`tests/peers/test_peft_kinds.py`, and diffusers' own readers the files that we write. The modules' names are checked
on full-size architectures without weights in `tests/families/test_places.py`.

{table}

"yes": read and tested. "-": the family has no layer of that sort. Biases (`diff_b`, `b_norm`) are tested in every
column but Flux.2's, whose layers have none. Stable Diffusion 1.5, 2.1 and pocket have the same names and are told
apart by shapes, which `tests/families` tests at full size.

**Dialects.** `peft`: the names of diffusers, written by peft and diffusers. `kohya`: joined by underscores, written by
kohya-ss, LyCORIS and, for transformers, others with diffusers' names (`lora_transformer_`). `comfy`: the original
code's names behind `diffusion_model.`, by ComfyUI and ai-toolkit. `bfl`: the same without a prefix. `peft` and `kohya`
are written too.

**Storage.** float32, float16, bfloat16, and eight bits (`F8_E4M3`, `F8_E5M2`), which are held exactly as float16.

**Fused layers.** Where the original code has one matrix and diffusers several, the rows are cut exactly, whatever the
kind, and joined exactly where a file is written in kohya's names; a LoKr whose copies the cut goes through is formed
in full there. DoRA with lengths of columns (`dora_scale` [1, in]) depends on all rows together and is refused there.

**Flux.1 and Flux.2** share names for different layers: `single_blocks.0.linear1` has seven times as many rows as
columns in Flux.1, where diffusers cuts it, and nine times in Flux.2, where it is one layer (`attn.to_qkv_mlp_proj`; and
`linear2` is `attn.to_out`). The shapes in a file tell which is meant; one with some of both is refused. diffusers' own
converters judge the names and the numbers in `tests/peers/test_flux2.py`.

**DoRA.** At gate g the change is g · (W' - W0): a straight line from the base weight to the trained one. LyCORIS and
peft scale inside the norm instead, which is the same at 0 and at 1.

**Executors.** `fold` and `reference` take every kind. `inject` takes low rank (LoRA, LoCon, Tucker), and says so when
it is given another kind; the automatic choice is `fold` then.

**Writing.** Files are written in low rank. `lorafusion export` writes what a prompt asks for as one file: ranks side by
side, exact, or cut at `--rank` or `--energy`; LoHa and LoKr become low rank on the way. DoRA, biases and norms are not
exported, because a file without the base weights cannot hold their sum.

**Refused by name:** OFT, BOFT, GLoRA, a LoRA with biases (`lora_B.bias`), bundled textual inversions, `reshape_weight`,
eight bits with scales of their own, and last layers whose halves diffusers exchanges (`final_layer.adaLN_modulation`).
"""


def page() -> str:
    """The text of docs/formats.md."""
    columns = list(cells.MODULES)
    rows = [
        "| kind | " + " | ".join(f"{dialect} {family}" for dialect, family in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for kind in cells.KINDS:
        marks = ["yes" if cells.modules(*column, kind) else "-" for column in columns]
        rows.append(f"| {kind} | " + " | ".join(marks) + " |")
    return _TEXT.format(table="\n".join(rows))


if __name__ == "__main__":
    (Path(__file__).parents[2] / "docs" / "formats.md").write_text(page())
