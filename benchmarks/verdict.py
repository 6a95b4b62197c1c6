#!/usr/bin/env python3
"""Pattern and flag, through detection: phantoms, hard cases, insertions into real scans.

    benchmarks/verdict.py look fit|measure [--jobs 2]   analyse cases; goes on where it stopped
    benchmarks/verdict.py fit                           what distributions lead to expect, fitted
    benchmarks/verdict.py measure [--keep]              the tables, from what was analysed

Needs ../shared for real scans. What judging needs of an analysis is kept under build/verdict/ and
the version of the detector's weights; rules are changed and judged anew in seconds. Analyses are
whole, with 199 simulations in place of 999 and 300 balls in place of 600.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("MILIARY_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from _results import Results
from _verdict_cases import FIT, MEASURE, declare
from _verdict_evidence import collect, load, weights_version
from _verdict_fit import fit
from _verdict_judge import judge
from _verdict_tables import show

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


def measure(folder: Path) -> Results:
    """Judge the cases to measure with, and show how right that is."""
    cases = declare(MEASURE)
    found = [evidence for case in cases if (evidence := load(case, folder))]
    results = Results(
        "verdict",
        f"Distribution and flag through detection, on {len(found)} of {len(cases)} declared cases "
        "with seeds not used in fitting: phantoms with lungs of 0.3 to 2.1 litres, insertions into "
        "real scans, hard cases. Nodules of 2.0 mm, SD 0.2 mm.",
    )
    show([judge(evidence) for evidence in found], results)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("part", choices=["look", "fit", "measure"])
    parser.add_argument("stage", choices=list(STAGES), nargs="?", default="measure")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cases", nargs="+", default=[], help="only those with this in their name")
    parser.add_argument("--evidence", type=Path, default=ROOT / "build" / "verdict")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/verdict.json")
    options = parser.parse_args()
    folder = options.evidence / weights_version()
    if options.part == "look":
        look_at(options.stage, folder, options.shared, options.jobs, options.cases)
        return
    if options.part == "fit":
        fit([evidence for case in declare(FIT) if (evidence := load(case, folder))])
        return
    results = measure(folder)
    if options.keep:
        print(results.keep())


if __name__ == "__main__":
    main()
