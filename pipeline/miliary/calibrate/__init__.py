"""How well this very scan shows nodules: put some in, look for them again.

`places` says where, `trial` cuts the scan into patches and puts the balls in, `describe` fits what
was found and measured, `apply` takes it out of what the scan itself holds. What is put in is looked
for in patches of a few millimetres: on the whole crop it would cost as much as detection again.
"""

from __future__ import annotations

from miliary.calibrate.apply import correct_sizes, sensitivity_at, sensitivity_map
from miliary.calibrate.describe import (
    Trials,
    describe_calibration,
    expect_false,
    stratum_volumes,
)
from miliary.calibrate.places import REGIONS, label_regions, place_balls
from miliary.calibrate.trial import Trial, cut_trial, inject, match_found

__all__ = [
    "REGIONS",
    "Trial",
    "Trials",
    "correct_sizes",
    "cut_trial",
    "describe_calibration",
    "expect_false",
    "inject",
    "label_regions",
    "match_found",
    "place_balls",
    "sensitivity_at",
    "sensitivity_map",
    "stratum_volumes",
]
