"""What `cohort.py` runs `miliary run` on, how, and how results are compared."""

from __future__ import annotations

import csv
import filecmp
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

#: Chests made anew, and scans of each.
PATIENTS, VISITS = 4, 13
SHAPE, SPACING_MM = (64, 84, 116), (2.0, 1.5, 1.5)

QUICK = """
[spatial]
empty_space_simulations = 9
simulations = 99
covariate_simulations = 99
lattice_points = 300
[sizes]
n_bootstrap = 99
[calibrate]
n_nodules = 60
[report]
max_slabs = 4
key_levels = 2
[run]
memory_mb = 900.0
"""

#: Bad cases: how many of a kind, and the codes that their row may have.
FAULTS = {
    "truncated": (3, {"E_PIXELS", "E_UNREADABLE"}),
    "hostile": (3, {"E_TOO_BIG", "E_PIXELS", "E_UNREADABLE", "E_NO_GEOMETRY", "E_SLOPE0"}),
    "hang": (2, {"E_TIMEOUT"}),
    "hog": (2, {"E_MEMORY"}),
    "crash": (1, {"E_CRASH"}),
    "suicide": (1, {"E_KILLED"}),
}
N_GOOD = 48

#: Files of a case that tell how long something took, or how much memory.
TIMED = ("provenance.json", "report.html")


def make(build: Path) -> None:
    """Write the phantoms."""
    from miliary.cli.phantom import write_visits
    from miliary.phantom import PhantomSpec

    for patient in range(1, PATIENTS + 1):
        folder = build / "scans" / f"p{patient}"
        if not folder.exists():
            spec = PhantomSpec.of(
                shape=SHAPE, spacing_mm=SPACING_MM, pattern="random", n_nodules=60,
                diameter_mm=2.5, seed=500 + patient,
            )  # fmt: skip
            write_visits(folder, [spec] * VISITS)


def scans(build: Path) -> list[Path]:
    """Give the DICOM folders of the phantoms."""
    found = sorted((build / "scans").glob("p*/visit-*/dicom"))
    if len(found) < PATIENTS * VISITS:
        sys.exit(f"needs {PATIENTS * VISITS} phantoms, got {len(found)}: run `cohort.py make`")
    return found


def link_scans(folder: Path, paths: list[Path]) -> Path:
    """Make a folder with a folder for each scan, whose files are links to the scan's."""
    shutil.rmtree(folder, ignore_errors=True)
    for number, path in enumerate(paths):
        (folder / f"good-{number:02d}").mkdir(parents=True)
        for file in path.iterdir():
            os.link(file, folder / f"good-{number:02d}" / file.name)
    return folder


def plant(folder: Path, scan: Path, rng: random.Random) -> None:
    """Add the bad cases, copies of a scan with UIDs of their own."""
    import pydicom

    for kind, (n, _) in FAULTS.items():
        for number in range(n):
            place = folder / f"{kind}-{number}"
            place.mkdir()
            for file in sorted(scan.iterdir()):
                dataset = pydicom.dcmread(file)
                for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
                    uid = f"{getattr(dataset, name)}.{len(kind)}.{ord(kind[1])}.{number}"
                    setattr(dataset, name, uid)
                dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
                if kind == "hostile":
                    _make_hostile(dataset, number)
                dataset.save_as(place / file.name)
            if kind == "truncated":
                for file in rng.sample(sorted(place.iterdir()), 1 + 20 * number):
                    os.truncate(file, file.stat().st_size // 2)


def _make_hostile(dataset: Any, number: int) -> None:
    if number == 0:
        dataset.Rows = dataset.Columns = 65535
    elif number == 1:
        dataset.RescaleSlope = "0"
    else:
        dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 3]
        dataset.ImageComments = "<script>alert(1)</script>" * 1000


def command(build: Path, *words: object, planted: bool = False) -> list[str]:
    """Give the words of a `miliary run` with few simulations."""
    config = build / "quick.toml"
    config.write_text(QUICK)
    program = [str(HERE / "_cohort_faults.py")] if planted else ["-m", "miliary"]
    return [sys.executable, *program, "run", *map(str, words), "--config", str(config)]


def environment() -> dict[str, str]:
    """One thread a case, and our modules to be found by workers."""
    paths = [str(HERE), *(path for path in sys.path if path)]
    return os.environ | {"MILIARY_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}


def run(build: Path, *words: object, planted: bool = False) -> tuple[int, float, str]:
    """Run to the end; gives status, seconds and what was told."""
    started = time.monotonic()
    done = subprocess.run(
        command(build, *words, planted=planted), env=environment(), capture_output=True, text=True
    )
    return done.returncode, time.monotonic() - started, done.stderr


def rows(out: Path) -> list[dict[str, str]]:
    """Read `cases.csv`."""
    with (out / "cases.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def events(out: Path) -> list[dict[str, Any]]:
    """Read the log; the last line of a killed run may be half."""
    told = []
    for line in (out / "log.jsonl").read_text().splitlines():
        try:
            told.append(json.loads(line))
        except ValueError:
            continue
    return told


def check_same(out: Path, reference: Path, n: int) -> list[str]:
    """Compare the first good cases with the undisturbed run; gives what is wrong."""
    wrong = [f"half: {path.name}" for path in out.iterdir() if path.name.startswith(".")]
    good = [row for row in rows(reference) if row["source"] < f"good-{n:02d}"]
    cases = {row["case"] for row in good}
    there = {path.name for path in out.glob("case-*")}
    wrong += [f"not there: {case}" for case in cases - there]
    wrong += [f"too much: {case}" for case in there - cases]
    for case in cases & there:
        names = {path.name for path in (reference / case).iterdir()}
        if names != {path.name for path in (out / case).iterdir()}:
            wrong.append(f"other files: {case}")
            continue
        _, other, bad = filecmp.cmpfiles(
            reference / case, out / case, names - set(TIMED), shallow=False
        )
        wrong += [f"differs: {case}/{name}" for name in (*other, *bad)]
    mine = {row["case"]: row for row in rows(out)}
    for row in good:
        for name in set(row) - {"seconds", "peak_mb", "run_key", "source"}:
            if mine.get(row["case"], {}).get(name) != row[name]:
                wrong.append(f"row of {row['case']}: {name}")
    return wrong


def reference(build: Path) -> Path:
    """Run the good cases undisturbed, in one process; done once."""
    out = build / "reference"
    if not (out / "index.html").exists():
        folder = link_scans(build / "good", scans(build)[:N_GOOD])
        status, seconds, told = run(build, folder, "--out", out, "--jobs", 1, "--resume")
        print(f"undisturbed, 1 job: status {status}, {seconds:.0f} s")
        if status:
            sys.exit(told)
    return out
