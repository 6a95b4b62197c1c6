#!/usr/bin/env python3
"""Sensitivity and false positives of the detector at several thresholds, in one lung of a scan.

    benchmarks/operating_points.py SCAN TRUTH.csv --lung left

The left lung of lidc-0314 took no part in training. SCAN and TRUTH come from
../shared/eval/insert_nodules.py. What is found and matches no nodule that was put in counts as
false, the patient's own nodules too.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

import miliary
from miliary.anatomy import SIDES
from miliary.config import Config
from miliary.config.detect import DetectSettings
from miliary.io.tables import numbers, read_csv
from miliary.lungs import segment_lungs
from miliary.score import match

THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.75, 0.8, 0.9)
EDGES_MM = (1.4, 1.6, 1.8, 2.0, 2.2)
REACH_MM = 1.5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("scan", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--lung", choices=sorted(SIDES), default="left")
    options = parser.parse_args()
    volume = miliary.read(options.scan)
    masks = segment_lungs(volume, Config().lungs)
    inside = masks.lung_labels > 0
    found = miliary.detect(
        volume.hu[masks.box], inside, masks.geometry.spacing_mm, DetectSettings(keep_all=True)
    )
    table = read_csv(options.truth)
    names = ("x_mm", "y_mm", "z_mm", "diameter_mm")
    truth = np.column_stack([numbers(table[name]) for name in names])

    def in_lung(index_zyx: np.ndarray) -> np.ndarray:
        nearest = np.clip(np.rint(index_zyx).astype(int), 0, np.array(inside.shape) - 1)
        return masks.lung_labels[tuple(nearest.T)] == SIDES[options.lung]

    truth = truth[in_lung(masks.geometry.to_index(truth[:, :3]))]
    found = found.take(in_lung(found.index_zyx))
    litres = np.count_nonzero(masks.lung_labels == SIDES[options.lung])
    litres *= masks.geometry.voxel_ml / 1000
    bands = list(pairwise(EDGES_MM))
    print(f"{options.lung} lung, {litres:.2f} litres, {len(truth)} nodules put in")
    print("threshold  FP/l  all    " + "  ".join(f"{low}-{high}" for low, high in bands))
    for threshold in THRESHOLDS:
        points = masks.geometry.to_world(found.take(found.score >= threshold).index_zyx)
        pairs = match(points, truth[:, :3], reach_mm=REACH_MM)
        hit = np.isin(np.arange(len(truth)), pairs[:, 1])
        shares = [
            hit[(truth[:, 3] >= low) & (truth[:, 3] < high)].mean() if hit.size else np.nan
            for low, high in bands
        ]
        false_per_l = (len(points) - len(pairs)) / litres
        told = "    ".join(f"{share:.2f}" for share in shares)
        print(f"{threshold:9.2f} {false_per_l:5.1f}  {hit.mean():.2f}   {told}")


if __name__ == "__main__":
    main()
