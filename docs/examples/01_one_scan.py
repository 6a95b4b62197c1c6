"""One scan, from DICOM to a verdict.

Reads the sample scan of the repository, analyses it, prints the verdict
with its criteria, compares the nodules with the known ones, and draws how they lie.
"""

# %% Read the scan: headers first, then the best series of the study
import sys
from pathlib import Path

import numpy as np

import miliary
from miliary.io.tables import numbers, read_csv

OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "build/examples")
SAMPLE = Path(__file__).resolve().parents[2] / "sample_data"

volume = miliary.read(SAMPLE / "dicom")
print(f"{volume.hu.shape} voxels of {np.round(volume.geometry.spacing_mm, 2)} mm")

# %% Analyse it: lungs, nodules, their statistics, the verdict
result = miliary.analyze(volume, seed=1)
print(f"miliary: {result.miliary.flag}; pattern: {result.pattern.label}")
for criterion in result.miliary.criteria:
    mark = {True: "yes", False: "no", None: "cannot be told"}[criterion.met]
    print(f"  {criterion.name}: {mark}. {criterion.sentence}")

# %% Every nodule is a row
columns = result.nodules.columns()
print(f"{len(result.nodules)} nodules, median {np.median(columns['diameter_mm']):.2f} mm")

# %% The sample is synthetic, so its nodules are known
truth = read_csv(SAMPLE / "truth.csv")
places_mm = np.stack([numbers(truth[name]) for name in ("x_mm", "y_mm", "z_mm")], axis=1)
agreement = miliary.score(
    result.nodules.points_mm,
    result.nodules.diameter_mm,
    places_mm,
    numbers(truth["diameter_mm"]),
    reach_mm=1.5,
    lung_litres=None,
)
print(f"found {agreement.sensitivity:.0%} of {len(places_mm)} nodules")

# %% Draw, and keep
OUT.mkdir(parents=True, exist_ok=True)
result.plot.functions().savefig(OUT / "01_one_scan.png", dpi=60)
result.save(OUT / "one-scan")
print(OUT / "one-scan" / "report.html")
