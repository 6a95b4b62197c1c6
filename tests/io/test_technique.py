"""How a slice was acquired, above all its exposure in mAs."""

from __future__ import annotations

import pydicom
import pytest

from miliary.io.tags import elements_of
from miliary.io.technique import acquisition_of


def told(**tags: object):
    dataset = pydicom.Dataset()
    for name, value in tags.items():
        setattr(dataset, name, value)
    return acquisition_of(elements_of(dataset))


@pytest.mark.parametrize(
    ("tags", "mas"),
    [
        ({}, None),
        ({"Exposure": "40"}, 40.0),
        ({"Exposure": "40", "XRayTubeCurrent": "80", "ExposureTime": "500"}, 40.0),
        # Divided by the pitch.
        ({"Exposure": "27", "XRayTubeCurrent": "80", "ExposureTime": "500"}, 27.0),
        # RIDER, GE: not mAs.
        ({"Exposure": "7837", "XRayTubeCurrent": "440", "ExposureTime": "843"}, 370.92),
        ({"Exposure": "7837"}, None),
        ({"ExposureInuAs": "120000"}, 120.0),
        ({"ExposureInuAs": "120000", "Exposure": "119"}, 120.0),
        ({"XRayTubeCurrent": "200", "ExposureTime": "500"}, 100.0),
        ({"ExposureInmAs": 55.5}, 55.5),
        ({"XRayTubeCurrentInmA": 200.0, "ExposureTimeInms": 250.0}, 50.0),
        ({"XRayTubeCurrent": "200"}, None),
        ({"Exposure": "0"}, None),
    ],
)
def test_the_exposure_is_in_mas_or_unknown(tags, mas):
    found = told(**tags).exposure_mas
    assert found == (None if mas is None else pytest.approx(mas))


def test_text_of_a_header_is_one_short_line():
    got = told(ConvolutionKernel=["B70f", "3"], Manufacturer="A\x1b[31m\nB" + "x" * 55)
    assert got.kernel == "B70f 3"
    assert got.manufacturer == "A[31mB" + "x" * 55
    assert got.contrast_agent is None
    assert told(ContrastBolusAgent="iodine").contrast_agent is True
