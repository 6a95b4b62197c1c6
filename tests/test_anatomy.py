"""What an anatomy makes of nodules that were taken for vessel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import oracles_detect as oracles
from miliary.anatomy import LEFT, RIGHT, Lung


@pytest.fixture
def anatomy():
    """Two boxes of lung, a vessel through both, and the left lung not judged."""
    found = oracles.box_anatomy()
    vessel = np.zeros(found.geometry.shape, bool)
    vessel[9:12, 10:13] = True
    vessel &= found.lung_labels > 0
    evaluable = np.where(vessel | (found.lung_labels == LEFT), 0, found.lung_labels)
    lungs = (Lung("right", 1.0, 0.9), Lung("left", 1.0, 0.0))
    return replace(
        found, vessel_mask=vessel, evaluable_labels=evaluable.astype(np.uint8), lungs=lungs
    )


def test_a_nodule_in_a_vessel_is_lung_that_can_be_evaluated(anatomy):
    centre = np.array([[10.0, 11.0, 6.0]])
    freed = anatomy.without_vessels_at(anatomy.geometry.to_world(centre), np.array([2.4]))
    changed = freed.vessel_mask != anatomy.vessel_mask
    assert changed[10, 11, 6]
    assert 1 < changed.sum() < anatomy.vessel_mask.sum()
    assert not freed.vessel_mask[changed].any()
    assert (freed.evaluable_labels[changed] == RIGHT).all()
    assert_array_equal(freed.evaluable_labels[~changed], anatomy.evaluable_labels[~changed])
    gained = freed.lung("right").evaluable_ml - anatomy.lung("right").evaluable_ml
    assert gained == pytest.approx(changed.sum() * anatomy.geometry.voxel_ml)


def test_outside_of_vessels_and_in_a_lung_that_is_not_judged_nothing_changes(anatomy):
    inside_left = np.argwhere(anatomy.vessel_mask & (anatomy.lung_labels == LEFT))[4]
    places = np.array([[4.0, 4.0, 6.0], inside_left])
    freed = anatomy.without_vessels_at(anatomy.geometry.to_world(places), np.array([2.4, 2.4]))
    assert_array_equal(freed.vessel_mask, anatomy.vessel_mask)
    assert_array_equal(freed.evaluable_labels, anatomy.evaluable_labels)
    assert freed.lungs == anatomy.lungs
    none = anatomy.without_vessels_at(np.empty((0, 3)), np.empty(0))
    assert_array_equal(none.vessel_mask, anatomy.vessel_mask)
