"""A healthy phantom has as many things to take for a nodule as real lungs have."""

from __future__ import annotations

import edt
import numpy as np

import oracles_phantom
from miliary.phantom import PhantomSpec, make_phantom

#: Maxima a litre more than 3 mm from the pleura, counted by `oracles_phantom.blob_maxima` in the
#: rough lungs of two scans of ../shared/ct without micronodules: rider-0117-lower (standard
#: kernel) and lidc-0314 (sharp): above 100, above 180, and above 140 with a blobness over 0.45.
REAL_PER_LITRE = {"above_100": (5232, 7281), "above_180": (2616, 3865), "blobs": (123, 184)}

#: A test phantom has 0.15 litres: 25 blobs, which vary by a fifth, and it may lie outside the
#: two scans by as much.
ALLOWANCE = 0.25


def test_healthy_phantom_is_as_hard_as_real_lungs():
    spec = PhantomSpec(
        shape=(100, 140, 170),
        spacing_mm=(1.0, 0.78, 0.78),
        pattern="none",
        noise_hu=25.0,
        noise_peak_per_mm=0.4,
        psf_fwhm_mm=(1.15, 0.95, 0.95),
    )
    phantom = make_phantom(spec)
    inside = edt.edt(phantom.lung_labels > 0, anisotropy=spec.spacing_mm, parallel=1) > 3.0
    litres = inside.sum() * phantom.volume.geometry.voxel_ml / 1000
    response, blobness = oracles_phantom.blob_maxima(phantom.volume.hu, spec.spacing_mm, inside)
    counted = {
        "above_100": (response > 100).sum() / litres,
        "above_180": (response > 180).sum() / litres,
        "blobs": ((response > 140) & (blobness > 0.45)).sum() / litres,
    }
    for name, (low, high) in REAL_PER_LITRE.items():
        assert low * (1 - ALLOWANCE) < counted[name] < high * (1 + ALLOWANCE), (name, counted)
    assert np.isfinite(blobness).all()
