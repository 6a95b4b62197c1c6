#!/usr/bin/env python3
"""Pattern and flag, through detection: a matrix of phantoms, hard cases, insertions into real scans.

benchmarks/verdict.py look fit|measure [--jobs 2]     analyse the cases; goes on where it stopped
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("MILIARY_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from _verdict_cases import FIT, MEASURE, declare
from _verdict_evidence import collect, weights_version

ROOT = Path(__file__).resolve().parents[1]
STAGES = {"fit": FIT, "measure": MEASURE}


def look_at(stage: str, folder: Path, shared: Path, jobs: int, names: list[str]) -> None:
    """Analyse the cases of a stage that were not analysed."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = [c for c in declare(STAGES[stage]) if not names or any(n in c.name for n in names)]
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        running = [pool.submit(collect, case, folder, shared) for case in cases]
        for number, done in enumerate(as_completed(running), 1):
            print(f"{number}/{len(cases)} {done.result()}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("part", choices=["look"])
    parser.add_argument("stage", choices=list(STAGES), nargs="?", default="measure")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cases", nargs="+", default=[], help="only those with this in their name")
    parser.add_argument("--evidence", type=Path, default=ROOT / "build" / "verdict")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    options = parser.parse_args()
    folder = options.evidence / weights_version()
    look_at(options.stage, folder, options.shared, options.jobs, options.cases)


if __name__ == "__main__":
    main()
