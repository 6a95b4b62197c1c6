"""Real scans: what must not be said of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

import miliary
from miliary.config import load_config

pytestmark = pytest.mark.shared

#: Small numbers where they only cost time.
QUICK = (
    "spatial.empty_space_simulations=9",
    "spatial.simulations=99",
    "spatial.covariate_simulations=199",
    "calibrate.n_nodules=60",
)


def analyze(volume):
    return miliary.analyze(volume, load_config(overrides=QUICK), seed=1)


def middle_slices(volume, n):
    """The middle of a scan: what costs time only is left out."""
    first = (len(volume.hu) - n) // 2
    box = (slice(first, first + n), *(slice(0, size) for size in volume.hu.shape[1:]))
    return replace(volume, hu=volume.hu[box], geometry=volume.geometry.crop(box))


def criteria(result):
    return {criterion.name: criterion for criterion in result.miliary.criteria}


def test_several_nodules_of_unequal_size_are_not_miliary(shared):
    result = analyze(miliary.read(shared / "ct" / "rider-0117-lower"))
    told = criteria(result)
    assert result.miliary.flag in ("absent", "indeterminate"), told
    assert told["assessable"].met is True
    unmet = [c for c in told.values() if c.met is not True and c.name != "fissural"]
    assert unmet
    assert all(c.sentence for c in unmet)
    assert any("cut off by the upper edge" in note for note in result.notes)


def test_slices_of_2_mm_are_not_assessable(shared):
    volume = miliary.read(shared / "ct" / "nlst-low-dose")
    result = analyze(middle_slices(volume, 60))
    assert result.miliary.flag == "not_assessable"
    assert result.miliary.extent is None
    told = criteria(result)["assessable"]
    assert (told.met, told.value) == (False, 2.0)
    assert "2.00 mm" in told.sentence
