"""Serial scans: how right `miliary compare` is about what changed.

    benchmarks/serial.py numbers [--pairs N]          pairs made of numbers alone, thousands of them
    benchmarks/serial.py phantoms [--patients N] [--first SEED]   phantoms, detected; can be ended
                                                      and goes on where it stopped
    benchmarks/serial.py rinds                        rinds of 3 to 15 mm, and chests without one
    benchmarks/serial.py case                         the case: three scans, from DICOM, told right

`--keep` writes the tables to benchmarks/results/.

Every phantom patient is scanned six times and gives five pairs: no change in another protocol
(noise, kernel, breath), x 1.5 in another protocol, x 3, a lung newly involved, half as many. Seeds
below 9106 were used in development; what counts are those from 9106 on. Results are kept in
build/serial under the version of the weights, so a detector trained anew is measured anew.
Only statistics of the distribution are left out of the analysis, for time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from _results import Results
from _serial_case import run_case
from _serial_rinds import run_rinds
from _serial_simulated import ZONES, simulate_pair
from _serial_tally import Tally

import miliary
from miliary.compare import CaseRecord, compare
from miliary.config import Config
from miliary.config.compare import CompareSettings
from miliary.io.cases import make_record
from miliary.phantom import PhantomSpec, make_serial_phantoms

BUILD = Path(__file__).resolve().parents[1] / "build" / "serial"
MEASURED_FROM = 9106
ROLES = ("base", "same", "half", "third", "new", "fewer")
TITLES = {
    "same": "no change, other protocol",
    "half": "x 1.5",
    "third": "x 3",
    "new": "a lung newly involved",
    "fewer": "half as many",
}
SAYS = {
    "numbers": "Pairs of scans made of numbers alone, by code apart from the package's: nodules "
    "found one by one, false ones among them, each scan calibrated by balls of its own.",
    "phantoms": "Phantom patients scanned six times and detected, lungs of half a litre with 105 "
    "to 160 nodules in the first scan; none of these patients was used for the settings.",
    "rinds": "Ten phantoms, a lung encased in 3 to 15 mm or none; none of them was used "
    "for the settings. Thickness is that at the points of the lung's surface where it is told.",
    "case": "Three scans of one phantom from DICOM in one command: the left lung encased, its rind "
    "thicker each time, the right one without nodules, then with 160, then with 420.",
}
_QUICK = {
    "simulations": 19,
    "empty_space_simulations": 19,
    "covariate_simulations": 19,
    "min_nodules": 10**6,
}


def wishes(seed: int) -> dict[str, PhantomSpec]:
    """Six scans of a patient."""
    rng = np.random.default_rng([seed, 77])
    n = int(rng.integers(105, 160)) // 2
    diameter = float(rng.uniform(1.7, 2.2))

    def protocol(other: bool) -> dict[str, object]:
        if not other:
            return {}
        wider, edge = float(rng.uniform(1.0, 1.5)), float(rng.choice([0.0, 0.3]))
        return {
            "noise_hu": float(rng.uniform(20, 50)),
            "psf_fwhm_mm": (1.1 * wider, 1.0 * wider, 1.0 * wider),
            "edge_enhancement": edge,
            "noise_peak_per_mm": float(rng.choice([0.25, 0.35, 0.5])),
            "breath": float(rng.uniform(0.88, 1.0)),
        }

    base = PhantomSpec.of(
        seed=seed, shape=(138, 134, 190), pattern="random", diameter_mm=diameter
    ).but(noise_hu=float(rng.uniform(20, 45)))
    numbers = {
        "base": (n, n),
        "same": (n, n),
        "half": (int(1.5 * n),) * 2,
        "third": (3 * n,) * 2,
        "fewer": (n // 2,) * 2,
        "new": (n, 0),
    }
    others = {
        "base": False,
        "same": True,
        "half": True,
        "third": bool(seed % 2),
        "new": bool((seed + 1) % 2),
        "fewer": True,
    }
    made = {}
    # The order in which protocols are drawn is part of what a seed means.
    for role in ("base", "same", "half", "new", "fewer", "third"):
        scan = base.but(**protocol(others[role]))
        group = scan.nodules[0]
        groups = tuple(
            replace(group, lungs=side, n_nodules=count)
            for side, count in zip(("right", "left"), numbers[role], strict=True)
        )
        made[role] = replace(scan, nodules=groups)
    return made


def weights_version() -> str:
    """Name the weights of the detector, by which results are kept."""
    package = Path(miliary.__file__).parent
    return hashlib.sha256((package / "weights" / "detector.npz").read_bytes()).hexdigest()[:10]


def scan_patient(seed: int, folder: Path, roles: tuple[str, ...]) -> None:
    """Detect the scans of a patient that are not there yet."""
    # `miliary.analyze` is the function: the package gives it away under the module's name.
    from miliary import analyze

    if all((folder / f"{seed}-{role}.json").exists() for role in roles):
        return
    config = Config()
    config = replace(config, spatial=replace(config.spatial, **_QUICK))
    wanted = wishes(seed)
    order = [role for role in ("base", "same", "half", "new", "fewer", "third") if role in roles]
    phantoms = make_serial_phantoms([wanted[role] for role in order])
    for number, (role, phantom) in enumerate(zip(order, phantoms, strict=True)):
        path = folder / f"{seed}-{role}.json"
        if path.exists():
            continue
        found = analyze(phantom.volume, config, seed=seed * 10 + number)
        anatomy = found.anatomy
        at = np.rint(anatomy.geometry.to_index(phantom.nodules.points_mm))
        kept = {
            "summary": found.to_dict(),
            "columns": {key: np.asarray(v).tolist() for key, v in found.nodules.columns().items()},
            "truth": {
                "points_mm": phantom.nodules.points_mm.round(2).tolist(),
                "diameter_mm": phantom.nodules.diameter_mm.round(3).tolist(),
                "lung": phantom.nodules.lung.tolist(),
                "zone": anatomy.at(anatomy.zone_labels, at).tolist(),
            },
        }
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(kept, default=float))
        partial.replace(path)
        print(f"{seed} {role}: {len(phantom.nodules)} nodules, {len(found.accepted)} found")


def read_scan(path: Path) -> tuple[CaseRecord, Counter[tuple[str, str]]]:
    """Read a detected scan, and its true numbers by lung and zone."""
    kept = json.loads(path.read_text())
    truth: Counter[tuple[str, str]] = Counter()
    for lung, zone in zip(kept["truth"]["lung"], kept["truth"]["zone"], strict=True):
        truth.update([(lung, "all"), ("both", "all")])
        if zone:
            truth[lung, ("upper", "middle", "lower")[zone - 1]] += 1
    return make_record(kept["summary"], kept["columns"]), truth


def numbers(pairs: int, results: Results) -> None:
    """Pairs made of numbers alone."""
    rng = np.random.default_rng(20261122)
    settings, tally = replace(CompareSettings(), draws=1000), Tally()
    for ratio, title in ((1.0, "no change"), (1.5, "x 1.5"), (3.0, "x 3"), (0.5, "half as many")):
        for _ in range(pairs):
            n = int(rng.integers(50, 150))
            cases, truths = simulate_pair(
                n, ratio, rng, litres=float(rng.uniform(0.4, 2.0)), balls=400
            )
            first, second = (_with_both(truth) for truth in truths)
            tally.add(title, compare(cases, settings), (first, second))
    tally.tell(
        results,
        f"Ratios told of {pairs} pairs each: 50 to 150 nodules a lung of 0.4 to 2 litres",
        f"Zones are {', '.join(ZONES)}.",
    )


def _with_both(truth: dict[tuple[str, str], int]) -> Counter[tuple[str, str]]:
    return Counter(truth) + Counter({("both", "all"): truth["right", "all"] + truth["left", "all"]})


def phantoms(first: int, patients: int, unchanged: int, folder: Path, results: Results) -> None:
    """Phantoms, detected; after the patients some more that are scanned twice, without a change."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds = range(first, first + patients + unchanged)
    for seed in seeds:
        scan_patient(seed, folder, ROLES if seed < first + patients else ("base", "same"))
    tally = Tally()
    for seed in seeds:
        if seed >= MEASURED_FROM:
            add_patient(tally, seed, folder)
    if tally.rows:
        title = f"Ratios told of {patients} patients, five pairs each, and of {unchanged} unchanged"
        tally.tell(results, title)


def add_patient(tally: Tally, seed: int, folder: Path) -> None:
    """Compare the pairs of a patient, as far as they are there."""
    scans = {
        role: read_scan(path) for role in ROLES if (path := folder / f"{seed}-{role}.json").exists()
    }
    for role, title in TITLES.items():
        if role in scans and "base" in scans:
            # The lung that the base shows involved was not in the scan of a lung less.
            before, now = ("new", "base") if role == "new" else ("base", role)
            cases = scans[before][0], scans[now][0]
            tally.add(title, compare(cases), (scans[before][1], scans[now][1]))


def main() -> None:
    """Run a part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=list(SAYS))
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--patients", type=int, default=24)
    parser.add_argument("--unchanged", type=int, default=20, help="patients scanned twice only")
    parser.add_argument("--first", type=int, default=MEASURED_FROM)
    parser.add_argument("--case-seed", type=int, default=9301)
    parser.add_argument("--out", type=Path, default=BUILD)
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/")
    args = parser.parse_args()
    results = Results(f"serial-{args.part}", SAYS[args.part])
    if args.part == "numbers":
        numbers(args.pairs, results)
    elif args.part == "phantoms":
        phantoms(args.first, args.patients, args.unchanged, args.out / weights_version(), results)
    elif args.part == "rinds":
        run_rinds(results)
    else:
        run_case(args.case_seed, args.out / f"case-{args.case_seed}", results)
    if args.keep:
        print(results.keep())


if __name__ == "__main__":
    main()
