#!/usr/bin/env python3
"""Nodules put into a real scan, found again: sensitivity, false positives, pattern and flag.

    benchmarks/inserted.py [--scan lidc-0314] [--seeds 1 2 3] [--keep]

Needs ../shared. Nodules are put in and scored by ../shared/eval, which shares no code with the
package. Every row is one run of `miliary run`; the left lung of lidc-0314, nlst-low-dose without
nodules and every kind of pattern but `random` took no part in training (see the model card).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _results import Results

SHARED = Path(__file__).resolve().parents[2] / "shared"

#: Kind, number, diameter in mm: what is put in.
WISHES = (
    ("none", 0, 1.8),
    ("random", 1000, 1.8),
    ("random", 300, 2.0),
    ("centrilobular", 600, 1.8),
    ("perilymphatic", 600, 1.8),
)


def run_one(scan: str, kind: str, n: int, diameter: float, seed: int, out: Path) -> dict[str, Any]:
    """Put nodules in, run, score; gives one row of the table."""
    place = out / f"{scan}-{kind}-{n}-{diameter}-{seed}"
    if not (place / "truth.csv").is_file():
        call(
            SHARED / "eval/insert_nodules.py",
            SHARED / "ct" / scan,
            place,
            "--kind",
            kind,
            "--n",
            n,
            "--diameter",
            diameter,
            "--seed",
            seed,
        )
    began = time.perf_counter()
    call("-m", "miliary", "run", place / "dicom", "--out", place / "result", "--seed", seed)
    seconds = time.perf_counter() - began
    case = next(path.parent for path in (place / "result").glob("*/summary.json"))
    scored = call(SHARED / "eval/score_case.py", case, place / "truth.csv")
    return {
        "scan": scan,
        "kind": kind,
        "n": n,
        "diameter": diameter,
        "seed": seed,
        "seconds": seconds,
        **json.loads(scored),
    }


def cells(row: dict[str, Any]) -> list[str]:
    """One row of the table, as README has it; no size where nothing was put in."""
    put_in = f"{row['n']:,} {row['kind']}, {row['diameter']} mm" if row["n"] else "nothing"
    size = f"{row['size_bias_mm']:+.2f} / {row['size_sd_mm']:.2f}" if row["n"] else ""
    share = f"{row['sensitivity']:.2f}" if row["n"] else ""
    words = row["miliary"], row["pattern"]
    return [put_in, share, f"{row['false_per_litre']:.1f}", *words, size]


def tell(rows: list[dict[str, Any]], scan: str) -> Results:
    """Give the table, and what was asked beside what came out."""
    results = Results(
        "inserted",
        f"Nodules put into {scan} by code that shares nothing with the package, and found again by "
        "`miliary run`. What is found without any put in, the patient's own nodules included, "
        "counts as false everywhere.",
    )
    heads = ["put in", "sensitivity", "false a litre", "flag", "pattern", "size bias / SD, mm"]
    results.table("Nodules put into a real scan", heads, [cells(row) for row in rows])
    right = sum((row["miliary"] == "present") == (row["kind"] == "random") for row in rows)
    named = sum(row["pattern"] == row["kind"] for row in rows)
    asked = f"all {len(rows)}"
    results.asked(
        [
            (
                "flag: present of random nodules, not of others",
                asked,
                str(right),
                right == len(rows),
            ),
            ("pattern: that which was put in", asked, str(named), named == len(rows)),
        ]
    )
    return results


def call(*words: object) -> str:
    """Run Python on a script and give what it prints."""
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--scan", default="lidc-0314")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--kinds", nargs="+", default=[])
    parser.add_argument("--out", type=Path, default=Path("build/inserted"))
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/*.json")
    options = parser.parse_args()
    if not SHARED.is_dir():
        raise SystemExit("needs ../shared beside the repository")
    rows = []
    for kind, n, diameter in WISHES:
        if options.kinds and kind not in options.kinds:
            continue
        for seed in options.seeds:
            rows.append(run_one(options.scan, kind, n, diameter, seed, options.out))
            print(f"seed {seed}, {rows[-1]['seconds']:.0f} s:", *cells(rows[-1]), flush=True)
    results = tell(rows, options.scan)
    if options.keep:
        print(results.keep())


if __name__ == "__main__":
    main()
