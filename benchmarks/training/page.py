"""The figures of docs/training.md, as its text between two marks says them."""

from __future__ import annotations

from typing import Any

BEGIN = "<!-- figures: written by python -m benchmarks.training; do not edit -->"
END = "<!-- end of figures -->"


def filled(text: str, results: dict[str, Any]) -> str:
    """The page with the figures of these results.

    Raises:
        ValueError: the page lacks the marks.
    """
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"the page has no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n\n{figures(results)}\n\n{END}{after}"


def shown(text: str) -> str:
    """The figures that stand in the page now, "" for none."""
    return text.partition(BEGIN)[2].partition(END)[0].strip()


def figures(results: dict[str, Any]) -> str:
    """Markdown: how long it took, whether a killed run ends alike, and a table of prompts."""
    made = results["provenance"]
    given, machine = made["settings"], made["machine"]
    seeds, curve, killed = given["seeds of each prompt"], results["curve"], results["killed"]
    same = "the same bytes as" if results["the same bytes"] else "**other bytes than**"
    concept, others = results["concept drawn"], results["other characters drawn"]
    export, shifts = results["export"], results["spectral"]
    lines = [
        f"{given['images']} pictures, {given['class images']} of the class, {given['steps']} steps: "
        f"{results['seconds'] / 60:.1f} minutes on {machine['processor']}, threads of torch: "
        f"{machine['threads used']} (load {machine['load at the start']}), of which "
        f"{results['seconds of the steps'] / 60:.1f} were steps; loss "
        f"{curve[0]['loss']:.3f} to {curve[-1]['loss']:.3f}; {results['modules']} modules, "
        f"{results['bytes'] / 1e6:.1f} MB.",
        "",
        f"Killed by `kill -9` after step {killed['checkpoint seen at step']}, the same command went on after step "
        f"{killed['resumed after step']} and wrote {same} a run that was never stopped.",
        "",
        f"A penguin was seen in {concept['with the LoRA']:.0%} of the pictures that asked for one with the LoRA, in "
        f"{concept['base']:.0%} without it; other characters were seen where they were asked for in "
        f"{others['with the LoRA']:.0%} with the LoRA open as well, in {others['base']:.0%} without it. Routing was "
        f"right for {results['routed right']} prompts. Exported with `crown` to one file, the picture of "
        f"\"{export['prompt']}\" differs by at most {export['largest difference of a pixel, of 255']} of 255.",
        "",
        f"Spectral shifts of the same pictures, {shifts['steps']} steps: a penguin in "
        f"{shifts['concept drawn']['with the shifts']:.0%} of the pictures that asked for one; {shifts['modules']} "
        f"modules, {shifts['bytes'] / 1e6:.1f} MB.",
        "",
        "| prompt | routed to | seen as | base | with the LoRA |",
        "|---|---|---|---|---|",
        *(
            f"| {row['prompt']} | {', '.join(row['routed to']) or '-'} | {row['judged as']} | "
            f"{row['base']:.0%} | {row['with the LoRA']:.0%} |"
            for row in results["prompts"]
        ),
        "",
        f"Shares of {seeds} pictures each, as a network sees them that was trained on rendered scenes "
        f"(right in {results['accuracy of the judge']:.1%} of those held out). Everything is in "
        "[training.json](../benchmarks/results/training.json).",
        "",
        "![Pocket's pictures for the prompts of the table, without and with the LoRA](pictures/training.png)",
        "",
        "A column for each prompt, in the table's order; above, two pictures of the base alone, below, the same two "
        "seeds with the LoRA.",
    ]  # fmt: skip
    return "\n".join(lines)
