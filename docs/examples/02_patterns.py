"""Patterns beside each other, on phantoms.

Makes a small chest three times, with nodules at random, centrilobular and perilymphatic, and
describes how the *true* nodules lie in the true lungs: what the statistics can tell when nothing
is missed.
"""

# %% Make and describe
import sys
from pathlib import Path

import miliary

OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "build/examples")

described = {}
for pattern in ("random", "centrilobular", "perilymphatic"):
    wishes = miliary.PhantomSpec.of(
        pattern=pattern, n_nodules=250, seed=3, scale=0.4, spacing_mm=(1.5, 1.5, 1.5)
    )
    phantom = miliary.make_phantom(wishes)
    described[pattern] = miliary.describe_masks(
        phantom.lung_labels,
        phantom.volume.geometry,
        phantom.nodules.points_mm,
        phantom.nodules.diameter_mm,
        vessel_mask=phantom.vessel_mask,
        fissure_mask=phantom.fissure_mask,
        lobe_labels=phantom.lobe_labels,
        config=miliary.load_config(overrides=["spatial.simulations=199"]),
        case=pattern,
    )

# %% What sets them apart: the shares near pleura, fissures and vessels, and whether they crowd
for name, result in described.items():
    near = {place: result.spatial.share(place, 2.5) for place in ("pleura", "fissure", "vessel")}
    told = ", ".join(f"{place} {share.ratio:.2f}" for place, share in near.items())
    print(
        f"{name}: of what is expected within 2.5 mm of {told}; "
        f"crowded: {result.spatial.clustered}, p of randomness {result.spatial.csr_p:.3f}"
    )

# %% Each function has its envelope in this lung
OUT.mkdir(parents=True, exist_ok=True)
for name, result in described.items():
    result.plot.curve("L").savefig(OUT / f"02_patterns_{name}.png", dpi=60)
described["perilymphatic"].plot.distances().savefig(OUT / "02_patterns.png", dpi=60)
