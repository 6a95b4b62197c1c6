"""Every figure that was measured, from the files that the benchmarks keep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from generate import asked
from generate.markdown import code, table

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"

_HEAD = """# What was measured

Made of `benchmarks/results/*.json`, which the benchmarks write with `--keep`: each table stands
with the command and the commit that made it, so that anyone can make it again. Real scans are not
part of the repository; where a benchmark needs them, its page in [how it is
measured](benchmarks.md) says so.

**None of these is a clinical accuracy.** They come from phantoms, from nodules put into real
scans, and from numbers made by a model; no scan of a patient with miliary disease and a reference
standard was at hand. [What it cannot do](../limits.md) tells what follows.
"""

#: Heading to the beginnings of the names of results that belong there: names of benchmarks.
SUBJECTS = {
    "Anatomy: lungs, vessels, airways, fissures": ("anatomy", "fissures", "phantom_anatomy"),
    "Detection, size and calibration": ("detection", "inserted"),
    "Statistics of place": ("spatial",),
    "Pattern and flag": ("verdict", "pattern"),
    "Serial change": ("serial",),
    "Reading and hostile input": ("readers", "mutations"),
    "Many scans, and speed": ("cohort", "outputs", "speed"),
}
_OTHER = "Other"
#: How tables begin that say what was asked, and what was measured.
_ASKED = {("what", "asked"), ("what", "wanted")}


def page() -> str:
    """Give the page."""
    kept = [json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    parts = [_HEAD, "## What was asked, at a glance", "", _glance(kept), ""]
    for heading in (*SUBJECTS, _OTHER):
        mine = [result for result in kept if subject_of(result["name"]) == heading]
        if mine:
            parts += [f"## {heading}", "", *map(_section, mine)]
        elif heading != _OTHER:
            parts += [f"## {heading}", "", _missing(SUBJECTS[heading])]
    return "\n".join(parts)


def subject_of(name: str) -> str:
    """Give the heading under which a result stands."""
    for heading, beginnings in SUBJECTS.items():
        if name.replace("-", "_").startswith(tuple(word.replace("-", "_") for word in beginnings)):
            return heading
    return _OTHER


def _glance(kept: list[dict[str, Any]]) -> str:
    """Gather what was asked, beside what was measured."""
    rows = []
    named = {result["name"]: result for result in kept}
    for subject in SUBJECTS:
        for name, result in named.items():
            if subject_of(name) != subject:
                continue
            link = f"[{_title(name)}](#{name})"
            rows += [[link, *one.judge(named)] for one in asked.ALL if one.result == name]
            for one in result["tables"]:
                if tuple(one["heads"][:2]) in _ASKED:
                    more = "".join(one["title"].partition(", ")[1:])
                    rows += [[link + more, *_judged(row)] for row in one["rows"]]
    return table(["where", "what", "asked", "measured", "met"], rows)


def _judged(row: list[Any]) -> list[str]:
    cells = [str(value) for value in row]
    return cells if len(cells) > 3 else [*cells, asked.met(cells[1], cells[2])]


def _missing(benchmarks: tuple[str, ...]) -> str:
    """Say how figures are made of which no table is kept."""
    there = [name for name in benchmarks if (RESULTS.parent / f"{name}.py").exists()]
    lines = ", ".join(code(f"scripts/bench {name}") for name in there)
    return f"No table is kept here; made by {lines}.\n" if there else "No table is kept here.\n"


def _section(result: dict[str, Any]) -> str:
    parts = [f"### {_title(result['name'])}", "", result["says"], ""]
    for one in result["tables"]:
        parts += [f"**{one['title']}**", ""] if one["title"] else []
        rows = [[str(value) for value in row] for row in one["rows"]]
        parts += [table([str(head) for head in one["heads"]], rows), ""]
        parts += [one["note"], ""] if one.get("note") else []
    return "\n".join([*parts, _made(result["made"]), ""])


def _title(name: str) -> str:
    words = name.replace("-", " ").replace("_", " ")
    return words[:1].upper() + words[1:]


def _made(made: dict[str, Any]) -> str:
    told = [f"Made by {code(made['command'])}"] if made.get("command") else []
    told += [f"commit {code(made['commit'])}"] if made.get("commit") else []
    told += [made["day"]] if made.get("day") else []
    told += [f"{made['cores']} cores"] if made.get("cores") else []
    versions = {"Python": made.get("python"), **made.get("versions", {})}
    told += [", ".join(f"{name} {number}" for name, number in versions.items() if number)]
    return "*" + "; ".join(part for part in told if part) + ".*"
