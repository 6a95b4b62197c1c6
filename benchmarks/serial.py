"""Serial scans: how right `miliary compare` is about what changed.

    benchmarks/serial.py numbers [--pairs N]          pairs made of numbers alone, thousands of them
    benchmarks/serial.py phantoms [--patients N] [--first SEED]   phantoms, detected; can be ended
                                                      and goes on where it stopped
    benchmarks/serial.py case                         the case: three scans, from DICOM, told right

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
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from _serial_simulated import ZONES, simulate_pair

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


def scan_patient(seed: int, folder: Path) -> None:
    """Detect the scans of a patient that are not there yet."""
    # `miliary.analyze` is the function: the package gives it away under the module's name.
    from miliary import analyze

    if all((folder / f"{seed}-{role}.json").exists() for role in ROLES):
        return
    config = Config()
    config = replace(config, spatial=replace(config.spatial, **_QUICK))
    wanted = wishes(seed)
    order = ("base", "same", "half", "new", "fewer", "third")
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


def read_scan(path: Path) -> tuple[CaseRecord, dict[tuple[str, str], int]]:
    """Read a detected scan, and its true numbers by lung and zone."""
    kept = json.loads(path.read_text())
    truth = Counter()
    for lung, zone in zip(kept["truth"]["lung"], kept["truth"]["zone"], strict=True):
        truth.update([(lung, "all"), ("both", "all")])
        if zone:
            truth[lung, ("upper", "middle", "lower")[zone - 1]] += 1
    return make_record(kept["summary"], kept["columns"]), truth


class Tally:
    """What comparisons said, held against the truth."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], list[tuple[float, bool, str]]] = defaultdict(list)
        self.more: dict[str, list[bool]] = defaultdict(list)

    def add(self, kind: str, found, truths) -> None:
        """Add a pair."""
        more = False
        for change in found.changes:
            place = "both" if change.lung == "both" else "lung" if change.zone == "all" else "zone"
            before, now = (truth[change.lung, change.zone] for truth in truths)
            more |= place != "zone" and change.verdict == "more"
            if change.count is None or not before or not now:
                continue
            truth, told = now / before, change.count
            row = (np.log(told.ratio / truth), told.low <= truth <= told.high, change.verdict)
            self.rows[kind, place].append(row)
        self.more[kind].append(more)

    def show(self) -> None:
        """Print the table."""
        print("kind | place | n | bias | SD of log ratio | covered | more | fewer")
        kinds = list(dict.fromkeys(kind for kind, _ in self.rows))
        for kind in [*kinds, "all"]:
            for place in ("both", "lung", "zone"):
                rows = [
                    row
                    for (k, p), found in self.rows.items()
                    if p == place and kind in (k, "all")
                    for row in found
                ]
                if not rows:
                    continue
                error, covered, verdict = zip(*rows, strict=True)
                print(
                    f"{kind} | {place} | {len(rows)} | {np.expm1(np.mean(error)):+.1%} | "
                    f"{np.std(error):.3f} | {np.mean(covered):.1%} | "
                    f"{np.mean(np.array(verdict) == 'more'):.1%} | "
                    f"{np.mean(np.array(verdict) == 'fewer'):.1%}"
                )
        for kind, more in self.more.items():
            print(f"{kind}: progression of either lung or both told in {np.mean(more):.1%}")


def numbers(pairs: int) -> None:
    """Pairs made of numbers alone."""
    rng = np.random.default_rng(20261122)
    settings, tally = replace(CompareSettings(), draws=1000), Tally()
    for ratio, title in ((1.0, "no change"), (1.5, "x 1.5"), (3.0, "x 3"), (0.5, "half as many")):
        for _ in range(pairs):
            n = int(rng.integers(50, 150))
            cases, truths = simulate_pair(
                n, ratio, rng, litres=float(rng.uniform(0.4, 2.0)), balls=400
            )
            both = [
                Counter(t) + Counter({("both", "all"): t["right", "all"] + t["left", "all"]})
                for t in truths
            ]
            tally.add(title, compare(cases, settings), both)
    print(f"{pairs} pairs each, 50 to 150 nodules a lung of 0.4 to 2 litres, zones {list(ZONES)}")
    tally.show()


def phantoms(first: int, patients: int, folder: Path) -> None:
    """Phantoms, detected."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + patients):
        scan_patient(seed, folder)
    tally = Tally()
    for seed in range(max(first, MEASURED_FROM), first + patients):
        add_patient(tally, seed, folder)
    tally.show()


def add_patient(tally: Tally, seed: int, folder: Path) -> None:
    """Compare the pairs of a patient, as far as they are there."""
    scans = {
        role: read_scan(path) for role in ROLES if (path := folder / f"{seed}-{role}.json").exists()
    }
    for role, title in TITLES.items():
        if role in scans and "base" in scans:
            two = [scans["base"], scans[role]]
            # The lung that the base shows involved was not in this scan.
            two = two[::-1] if role == "new" else two
            tally.add(title, compare([case for case, _ in two]), [truth for _, truth in two])


def encased_case(folder: Path) -> None:
    """The case: an encased left lung, the right one none, then random, then more."""
    from miliary.cli.phantom import write_visits
    from miliary.io.images import read_mask
    from miliary.phantom import Tissue

    base = PhantomSpec.of(
        seed=9301, shape=(160, 150, 215), spacing_mm=(1.25, 1.1, 1.1), psf_fwhm_mm=(1.4, 1.2, 1.2),
        pattern="random", diameter_mm=2.2, lungs="right", encased_lung="left",
    )  # fmt: skip
    visits = [
        base.but(n_nodules=0, rind_mm=7.0, volume_loss=0.15),
        base.but(n_nodules=150, rind_mm=10.0, volume_loss=0.25, noise_hu=35.0),
        base.but(n_nodules=400, rind_mm=13.0, volume_loss=0.35, noise_hu=25.0, breath=0.95),
    ]
    if not (folder / "scans").exists():
        write_visits(folder / "scans", visits)
    scans = [folder / "scans" / f"visit-{k}" / "dicom" for k in (1, 2, 3)]
    words = [sys.executable, "-m", "miliary", "compare", *map(str, scans), "--out"]
    subprocess.run([*words, str(folder / "told")], check=True)
    told = json.loads((folder / "told" / "comparison.json").read_text())
    for number, case in enumerate(told["cases"]):
        tissue, grid = read_mask(folder / "scans" / f"visit-{number + 1}" / "tissues.nii.gz")
        true_ml = np.count_nonzero(tissue == Tissue.RIND) * grid.voxel_ml
        left = case["lungs"].get("left") or {}
        found = left.get("rind_ml")
        print(f"scan {number + 1}: rind {true_ml:.0f} ml, told {found}")


def main() -> None:
    """Run a part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["numbers", "phantoms", "case"])
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--first", type=int, default=MEASURED_FROM)
    parser.add_argument("--out", type=Path, default=BUILD)
    args = parser.parse_args()
    if args.part == "numbers":
        numbers(args.pairs)
    elif args.part == "phantoms":
        phantoms(args.first, args.patients, args.out / weights_version())
    else:
        encased_case(args.out / "case")


if __name__ == "__main__":
    main()
