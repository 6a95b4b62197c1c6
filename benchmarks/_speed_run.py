"""One run in a process of its own, stage by stage, as a case of `miliary run`; prints JSON.

_speed_run.py SOURCE [--slices N] [--nodules N] [--yardstick] [--seed N]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from _speed_inputs import SHAPE, with_nodules, with_slices
from scipy import ndimage

import miliary
from miliary.analyze import analyze
from miliary.case_folder import write_case
from miliary.cohort.server import keep_memory
from miliary.config import Config
from miliary.lungs import segment_lungs
from miliary.volume import Volume


@dataclass
class Stages:
    """Wall time, CPU time (children too) and peak memory of one stage after the other."""

    rows: list[dict[str, object]] = field(default_factory=list)

    def __call__(self, name: str, _share: float = 0.0) -> None:
        self.end()
        forget_peak()
        self.rows.append({"stage": name, "wall": -time.perf_counter(), "cpu": -cpu_s()})

    def end(self) -> None:
        if self.rows and "mb" not in self.rows[-1]:
            row = self.rows[-1]
            row["wall"] += time.perf_counter()
            row["cpu"] += cpu_s()
            row["mb"] = peak_mb()


def cpu_s() -> float:
    return sum(os.times()[:4])


def forget_peak() -> None:
    """Have Linux forget the most memory held so far."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Most memory that this process has held since."""
    told = Path("/proc/self/status").read_text()
    return int(told.split("VmHWM:")[1].split()[0]) / 1024


def gaussian_s(volume: Volume) -> float:
    """CPU seconds of the yardstick: scipy.ndimage.gaussian_filter of the scan, best of 3."""
    image = volume.hu.astype(np.float32)
    seconds = []
    for _ in range(3):
        began = time.process_time()
        ndimage.gaussian_filter(image, 1.0)
        seconds.append(time.process_time() - began)
    return min(seconds)


def prepared(options: argparse.Namespace) -> Volume | None:
    """The scan changed as asked for; None where it is taken as it is."""
    if options.slices:
        return with_slices(options.source, options.slices)
    if options.nodules is not None:
        half = with_slices(options.source, SHAPE[0] // 2)
        masks = segment_lungs(half, Config().lungs)
        lungs = np.zeros(half.hu.shape, np.uint8)
        lungs[masks.box] = masks.lung_labels
        return with_nodules(half, lungs, options.nodules)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--slices", type=int)
    parser.add_argument("--nodules", type=int)
    parser.add_argument("--yardstick", action="store_true", help="nothing else")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    volume = prepared(options)
    if options.yardstick:
        print(json.dumps({"gaussian": gaussian_s(volume or miliary.read(options.source))}))
        return
    keep_memory()
    stages = Stages()
    if volume is None:
        stages("read")
        volume = miliary.read(options.source)
    analysis = analyze(volume, Config(), seed=options.seed, progress=stages)
    stages("write")
    folder = Path(tempfile.mkdtemp()) / "case"
    write_case(analysis, folder)
    stages.end()
    shutil.rmtree(folder.parent)
    told = {"shape": volume.hu.shape, "found": len(analysis.nodules)}
    print(json.dumps(told | {"stages": stages.rows}))


if __name__ == "__main__":
    main()
