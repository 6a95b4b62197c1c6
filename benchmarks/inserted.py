#!/usr/bin/env python3
"""Nodules put into a real scan, found again: sensitivity, false positives, pattern and flag.

    benchmarks/inserted.py [--scan lidc-0314] [--seeds 1 2 3] [--out build/inserted]

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


def line(row: dict[str, Any]) -> str:
    """One row of the table as text; nan where nothing was put in."""
    bias, spread = (row.get(f"size_{name}_mm", float("nan")) for name in ("bias", "sd"))
    return (
        f"{row['kind']:13s} {row['n']:5d} {row['diameter']:4.1f} {row['seed']:4d} "
        f"{row['sensitivity']:5.3f} {row['false_per_litre']:5.1f} {row['miliary']:14s} "
        f"{row['pattern']:15s} {bias:+.3f} {spread:.3f} {row['seconds']:5.0f}"
    )


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
    options = parser.parse_args()
    if not SHARED.is_dir():
        raise SystemExit("needs ../shared beside the repository")
    rows = []
    print(
        "kind              n   mm seed  sens  FP/l flag           pattern         bias   SD      s"
    )
    for kind, n, diameter in WISHES:
        if options.kinds and kind not in options.kinds:
            continue
        for seed in options.seeds:
            rows.append(run_one(options.scan, kind, n, diameter, seed, options.out))
            print(line(rows[-1]), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "table.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
