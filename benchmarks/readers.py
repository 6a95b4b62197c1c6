#!/usr/bin/env python3
"""Bad folders and speed: `miliary` beside the usual series reader (SimpleITK) and a pydicom loop.

    benchmarks/readers.py table [--listed] [--keep]    every bad folder of the tests, as Markdown
    benchmarks/readers.py speed [--folder DIR]         headers, pixels and memory

`table` makes the folders of `tests/bad_folders` and reads each one twice: by `find_inputs` and
`read_series`, and in the way that SimpleITK's manual shows: `GetGDCMSeriesFileNames`, then
`ImageSeriesReader`. A volume is right when every voxel has its value at its place; below -1024 HU
counts as -1024. "As stored" is a sound stack of something that is no chest CT in HU.
`speed` makes 400 slices of 512 x 512 (or takes a real folder) and gives the best of three, each
reader in a process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from _results import Results

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

#: A voxel is at its place when it is nearer than this; one row shakes positions by 0.01 mm.
PLACE_MM = 0.02


def ours(folder: Path, truths: list[Any]) -> tuple[str, str]:
    """Read a folder with this package; gives a verdict, and codes."""
    from miliary.config.reading import ReadSettings
    from miliary.errors import MiliaryError
    from miliary.io.reading import read_series
    from miliary.io.series import find_inputs

    settings = ReadSettings()
    try:
        infos = find_inputs([folder], settings)
        codes = ", ".join(sorted(info.code for info in infos))
        volumes = [read_series(info, settings) for info in infos if info.usable]
    except MiliaryError as error:
        return ("refuses" if not truths else "fails"), error.code
    if not volumes:
        return ("refuses" if not truths else "fails"), codes
    right = len(volumes) == len(truths) and all(
        any(same(volume.hu, volume.geometry.affine, truth) for truth in truths)
        for volume in volumes
    )
    return ("right" if right else "silently wrong"), codes


def usual(folder: Path, truths: list[Any]) -> tuple[str, str]:
    """Read a folder with SimpleITK's series reader; gives a verdict, and what came out."""
    import SimpleITK as sitk  # noqa: N813

    from miliary.io.volume_files import affine_of

    reader = sitk.ImageSeriesReader()
    try:
        with silence():
            ids = reader.GetGDCMSeriesIDs(str(folder))
            if not ids:
                return "finds nothing", ""
            reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder), ids[0]))
            image = reader.Execute()
    except RuntimeError:
        return "refuses", ""
    size, spacing = image.GetSize(), image.GetSpacing()
    got = f"{size[-1]} slices, {spacing[-1]:.4g} mm"
    if image.GetDimension() == 3 and image.GetNumberOfComponentsPerPixel() == 1:
        values = np.maximum(sitk.GetArrayFromImage(image), -1024)
        if any(same(values, affine_of(image), truth) for truth in truths):
            return "right", got
    return "silently wrong", got


def same(hu: np.ndarray, affine: np.ndarray, truth: Any) -> bool:
    """Tell whether a volume has every voxel of the truth, with its value at its place."""
    if sorted(hu.shape) != sorted(truth.hu.shape):
        return False
    index = np.indices(truth.hu.shape).reshape(3, -1)
    world = truth.geometry.affine[:3, :3] @ index + truth.geometry.affine[:3, 3:]
    there = np.linalg.solve(affine[:3, :3], world - affine[:3, 3:])
    nearest = np.rint(there).astype(int)
    off_mm = np.linalg.norm(affine[:3, :3] @ (there - nearest), axis=0)
    inside = (nearest >= 0).all() and (nearest < np.array(hu.shape)[:, None]).all()
    return bool(
        inside
        and off_mm.max() < PLACE_MM
        and np.array_equal(np.rint(hu[tuple(nearest)]), truth.hu.ravel())
    )


@contextlib.contextmanager
def silence() -> Any:
    """Keep what ITK prints off the screen."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def table(*, listed: bool) -> Results:
    """Read every bad folder in both ways; gives the table."""
    from bad_folders import ROWS

    warnings.simplefilter("ignore")
    rows, mine, theirs = [], Counter[str](), Counter[str]()
    for row in ROWS.values():
        if listed and not row.listed:
            continue
        with tempfile.TemporaryDirectory() as place:
            truths = row.make(Path(place))
            verdict, code = ours(Path(place), truths)
            usually, gave = usual(Path(place), truths)
        if row.as_stored and usually == "silently wrong":
            usually = "as stored"
        mine[verdict] += 1
        theirs[usually] += 1
        strong = f"**{usually}**" if usually == "silently wrong" else usually
        rows.append([row.name, verdict, code or "-", strong, gave or "-"])
    results = Results(
        "readers",
        f"{len(rows)} folders of DICOM with a fault each, read by this package and by the usual "
        "series reader (SimpleITK), every voxel held against the truth.",
    )
    heads = ["folder", "miliary", "code", "usual series reader", "gave"]
    note = (
        f"miliary: {_counted(mine)}. Usual series reader: {_counted(theirs)}. Refused is right "
        "where nothing sound can be made of a folder; as stored is a sound stack of something "
        "that is no chest CT in HU."
    )
    results.table("Folders with faults", heads, rows, note)
    good = mine["right"] + mine["refuses"]
    told = f"{good} of {len(rows)}"
    results.asked(
        [("folders read right, or refused with a reason", "all, at least 35", told,
          good == len(rows) >= 35)]
    )  # fmt: skip
    return results


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items()))


#: What is timed, each in a process of its own: (name, code that leaves its result in `result`).
READERS = {
    "miliary, headers": "result = find_inputs([folder], settings)",
    "miliary, pixels": "result = read_series(infos[0], settings)",
    "miliary, pixels, one thread": "result = read_series(infos[0], replace(settings, threads=1))",
    "plain pydicom loop": """
result = np.empty((len(paths), *shape), np.int16)
slices = sorted((pydicom.dcmread(p) for p in paths), key=lambda d: d.ImagePositionPatient[2])
for plane, d in zip(result, slices):
    plane[...] = d.pixel_array * float(d.RescaleSlope) + float(d.RescaleIntercept)
""",
    "SimpleITK series reader": """
reader = sitk.ImageSeriesReader()
reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
result = reader.Execute()
""",
}

PREPARE = """
import json, os, sys, time, warnings
from dataclasses import replace
from pathlib import Path
import numpy as np, pydicom, SimpleITK as sitk
from miliary.config.reading import ReadSettings
from miliary.io.reading import read_series
from miliary.io.series import find_inputs
warnings.simplefilter("ignore")
folder, settings = Path(sys.argv[1]), ReadSettings()
paths = sorted(folder.glob("*.dcm"))
first = pydicom.dcmread(paths[0])
shape = first.pixel_array.shape
infos = find_inputs([folder], settings)
def memory(name):
    for line in open("/proc/self/status"):
        if line.startswith(name):
            return int(line.split()[1]) / 1024
seconds, cpu, peaks = [], [], []
before = memory("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
for _ in range(3):
    result = slices = d = None
    t, c = time.perf_counter(), time.process_time()
    exec(sys.argv[2])
    seconds.append(time.perf_counter() - t)
    cpu.append(time.process_time() - c)
    peaks.append(memory("VmHWM") - before)
print(json.dumps({"s": min(seconds), "cpu": min(cpu), "mb": peaks[0],
                  "volume": len(paths) * shape[0] * shape[1] * 2 / 2**20, "n": len(paths)}))
"""


def speed(folder: Path | None) -> None:
    """Time the readers; the files lie in the page cache."""
    with tempfile.TemporaryDirectory() as place:
        if folder is None:
            folder = make_400(Path(place))
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the beginning")
        print("| reader | s | CPU s | MB above start | of the volume's size |")
        print("|---|---|---|---|---|")
        for name, code in READERS.items():
            call = [sys.executable, "-c", PREPARE, str(folder), code]
            done = subprocess.run(call, capture_output=True, text=True, check=True)
            told = json.loads(done.stdout.splitlines()[-1])
            print(
                f"| {name} | {told['s']:.2f} | {told['cpu']:.2f} | {told['mb']:.0f} "
                f"| {told['mb'] / told['volume']:.2f} |",
                flush=True,
            )


def make_400(folder: Path) -> Path:
    """Write 400 slices of 512 x 512 in 16 bits."""
    from miliary.io.write_dicom import write_series
    from miliary.volume import Volume

    began = time.perf_counter()
    rng = np.random.default_rng(1)
    hu = rng.normal(-400, 300, (400, 512, 512)).astype(np.int16)
    write_series(folder, Volume.from_array(hu, (0.75, 0.7, 0.7)), seed=1)
    print(f"400 slices made in {time.perf_counter() - began:.0f} s")
    return folder


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["table", "speed"])
    parser.add_argument("--listed", action="store_true", help="only what was measured before")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/*.json")
    parser.add_argument("--folder", type=Path, help="a real series to time, of *.dcm")
    args = parser.parse_args()
    if args.what == "table":
        results = table(listed=args.listed)
        if args.keep:
            print(results.keep())
    else:
        speed(args.folder)


if __name__ == "__main__":
    main()
