"""Points and a mask of your own.

No scan and no lung: any points in any mask. Here a ball with points that come in pairs, beside
points that are random, and a plane that some of them keep to.
"""

# %% A mask of voxels of 3 x 2 x 2 mm, and two sets of points in it
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np

import miliary
from miliary.config.spatial import SpatialSettings

mpl.use("Agg")
import matplotlib.pyplot as plt

OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "build/examples")
SPACING_MM = np.array([3.0, 2.0, 2.0])

rng = np.random.default_rng(1)
index = np.indices((27, 41, 41))
offset_mm = (index - np.array([13, 20, 20])[:, None, None, None]) * SPACING_MM[:, None, None, None]
ball = (offset_mm**2).sum(axis=0) < 38.0**2

voxels = rng.permutation(np.argwhere(ball))
at_random = voxels[:120] * SPACING_MM
in_pairs = np.repeat(voxels[:60] * SPACING_MM, 2, axis=0) + rng.normal(0.0, 1.0, (120, 3))

# %% Test both; whether points keep to a plane is asked by its distance image
plane_mm = np.abs(offset_mm[0])
settings = SpatialSettings(simulations=199, max_radius_mm=20.0)
found = {
    name: miliary.describe_points(
        points, ball, SPACING_MM, distances_mm={"plane": plane_mm}, settings=settings, seed=1
    )
    for name, points in {"random": at_random, "in pairs": in_pairs}.items()
}
for name, description in found.items():
    near = description.share("plane", 5.0)
    print(
        f"{name}: p {description.csr_p:.3f}, crowded {description.clustered}, "
        f"Clark-Evans {description.clark_evans:.2f}, near the plane {near.ratio:.2f} of expected"
    )

# %% L(r) - r with its envelope: above the band points crowd
figure, panels = plt.subplots(1, 2, figsize=(9, 3.5), sharey=True, layout="constrained")
for panel, (name, description) in zip(panels, found.items(), strict=True):
    curve = next(c for c in description.curves if c.function == "L")
    r = curve.r_mm
    panel.fill_between(r, curve.low - r, curve.high - r, color="0.85", label="random in this ball")
    panel.plot(r, curve.observed - r, color="C3", label="points")
    panel.set(title=name, xlabel="r in mm")
panels[0].set_ylabel("L(r) - r in mm")
panels[0].legend(frameon=False)
OUT.mkdir(parents=True, exist_ok=True)
figure.savefig(OUT / "03_points.png", dpi=60)
