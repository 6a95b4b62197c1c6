"""A healthy phantom has as many things to take for a nodule as real lungs have."""

from __future__ import annotations

import edt
import numpy as np
import pytest

import oracles_phantom
from miliary.phantom import PhantomSpec, make_phantom

#: Maxima a litre more than 2 mm from the pleura, counted by `oracles_phantom.blob_maxima` in two
#: scans of ../shared/ct: above 100, above 180, and above 140 with a blobness over 0.45.
REAL_PER_LITRE = {
    "rider-0117-lower": {"above_100": 3174, "above_180": 1657, "blobs": 109},
    "lidc-0314": {"above_100": 4465, "above_180": 2573, "blobs": 208},
}

#: Wishes with the voxels, noise and point spread of these scans.
LIKE = {
    "rider-0117-lower": {
        "spacing_mm": (0.8, 0.65, 0.65), "noise_hu": 13.0, "noise_peak_per_mm": 0.25,
        "psf_fwhm_mm": (1.3, 1.2, 1.2), "shape": (140, 195, 246),
    },
    "lidc-0314": {
        "spacing_mm": (1.0, 0.78, 0.78), "noise_hu": 22.0, "noise_peak_per_mm": 0.45,
        "psf_fwhm_mm": (1.2, 0.95, 0.95), "shape": (112, 162, 205),
    },
}  # fmt: skip

#: A test phantom has 0.3 litres: some 40 blobs, which vary by a sixth, and it may lie outside the
#: two scans by as much.
ALLOWANCE = 1 / 6


@pytest.mark.parametrize("scan", LIKE)
def test_healthy_phantom_is_as_hard_as_real_lungs(scan):
    phantom = make_phantom(PhantomSpec.of(pattern="none", scale=0.4, **LIKE[scan]))
    spacing = phantom.spec.scanner.spacing_mm
    inside = edt.edt(phantom.lung_labels > 0, anisotropy=spacing, parallel=1) > 2.0
    litres = inside.sum() * phantom.volume.geometry.voxel_ml / 1000
    response, blobness = oracles_phantom.blob_maxima(
        phantom.volume.hu, spacing, phantom.lung_labels > 0, inside
    )
    counted = {
        "above_100": (response > 100).sum() / litres,
        "above_180": (response > 180).sum() / litres,
        "blobs": ((response > 140) & (blobness > 0.45)).sum() / litres,
    }
    for name, found in counted.items():
        low, high = sorted(real[name] for real in REAL_PER_LITRE.values())
        assert low * (1 - ALLOWANCE) < found < high * (1 + ALLOWANCE), (name, counted)
    assert np.isfinite(blobness).all()
