"""Example lines of every command: what `--help` ends with, and the documentation shows."""

from __future__ import annotations

__all__ = ["EXAMPLES", "epilog"]

#: By command: a line that can be typed, and what it does. A test parses every one.
EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "run": (
        ("miliary run scans --out result", "every patient under scans, the best series of each"),
        ("miliary run chest.nii.gz --out result --set report.nodule_map=true", "a volume file"),
        ("miliary run scans --out result --jobs 4 --resume", "go on where a run was stopped"),
        ("miliary run scans --out result --shard 3/32", "the third of 32 parts, for array jobs"),
        ("miliary run scans --out result --allow missing,tilt", "resample what is refused else"),
    ),
    "merge": (("miliary merge result", "join what `miliary run --shard` wrote to result"),),
    "series": (
        ("miliary series scans", "a table to read"),
        ("miliary series scans --csv > series.csv", "the same for a program"),
    ),
    "compare": (
        ("miliary compare result/case-1 result/case-2 --out change", "two case folders"),
        ("miliary compare march june --out change --days 0,90", "two folders of DICOM"),
    ),
    "phantom": (
        ("miliary phantom made --pattern random --n 300", "300 nodules of 2 mm at random"),
        ("miliary phantom other --spacing 1.25 0.7 0.7 --noise 40 --seed 7", "another scanner"),
        ("miliary phantom early --pattern none --encased left --visit second.toml", "two visits"),
    ),
    "score": (
        ("miliary score result/case-1 truth.csv", "a table to read"),
        ("miliary score result/case-1 made --json", "against a phantom, for a program"),
    ),
    "measure": (
        ("miliary measure lungs.nii.gz nodules.csv --out described", "centres found elsewhere"),
        (
            "miliary measure lungs.nii.gz nodules.nii.gz --vessels vessels.nii.gz --out described",
            "label images, vessels left out of the window",
        ),
    ),
    "config": (
        ("miliary config > mine.toml", "all settings, to change some of them"),
        ("miliary config --set pattern.numerous_per_l=60", "what one change gives"),
    ),
    "demo": (
        ("miliary demo", "results in ./miliary-demo"),
        ("miliary demo --out /tmp/look", "results elsewhere"),
    ),
}


def epilog(command: str) -> str:
    """Give the end of the help of a command.

    Parameters
    ----------
    command : str
        Its name.

    Returns
    -------
    str
        A line for each example, under the line that can be typed.
    """
    lines = [f"  {line}\n      {meaning}" for line, meaning in EXAMPLES[command]]
    return "\n".join(["examples:", *lines])
