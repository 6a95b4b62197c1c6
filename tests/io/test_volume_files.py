"""Volume files that are cut, damaged, or lead elsewhere are refused."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from numpy.testing import assert_array_equal

import oracles_io as made
from miliary.config.reading import ReadSettings
from miliary.errors import SeriesError
from miliary.io.reading import read
from miliary.io.series import find_inputs
from miliary.io.volume_headers import is_whole_stream

SETTINGS = ReadSettings()


def write(folder, ending, *, compress=False, kind=np.int16, spacing_mm=made.SPACING_MM):
    """Write the chest; give the file that holds the voxels."""
    image = sitk.GetImageFromArray(made.chest().hu.astype(kind))
    image.SetSpacing([float(side) for side in spacing_mm[::-1]])
    sitk.WriteImage(image, str(folder / f"ct.{ending}"), useCompression=compress)
    return max(folder.glob("ct.*"), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha", "mhd", "nhdr"])
@pytest.mark.parametrize("keep", [0.3, 0.97])
def test_a_file_that_is_cut_is_refused(tmp_path, ending, compress, keep):
    path = write(tmp_path, ending, compress=compress)
    assert_array_equal(read(tmp_path).hu, made.chest().hu)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(SeriesError) as caught:
        read(tmp_path)
    assert caught.value.code == "E_PIXELS"


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha", "mhd", "nhdr"])
def test_a_broken_stream_is_refused(tmp_path, ending):
    path = write(tmp_path, ending, compress=True)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4] = b"\x00\xff\x13\x37"
    path.write_bytes(content)
    with pytest.raises(SeriesError) as caught:
        read(tmp_path)
    assert caught.value.code == "E_PIXELS"


@pytest.mark.parametrize(
    "line", ["/etc/passwd", "../../elsewhere.raw", "LIST", "LIST 2", "gone.raw", ""]
)
@pytest.mark.parametrize("ending", ["mhd", "nhdr"])
def test_a_header_leads_nowhere_else(tmp_path, ending, line):
    write(tmp_path, ending)
    path = tmp_path / f"ct.{ending}"
    key = "ElementDataFile = " if ending == "mhd" else "data file: "
    lines = [text for text in path.read_text().splitlines() if not text.startswith(key)]
    path.write_text("\n".join([*lines, f"{key}{line}", ""]))
    (info,) = find_inputs([path], SETTINGS)
    assert info.code == "E_PIXELS"
    assert "file of voxels" in info.reason


@pytest.mark.parametrize(
    ("changes", "settings", "code"),
    [
        ({"spacing_mm": (1.25, 1000.0, 0.8)}, SETTINGS, "E_NOT_PLAUSIBLE"),
        ({"spacing_mm": (1e-4, 0.7, 0.8)}, SETTINGS, "E_NOT_PLAUSIBLE"),
        ({"kind": np.float64}, ReadSettings(max_volume_mb=0.05), "E_TOO_BIG"),
        ({"kind": np.uint8}, SETTINGS, "SKIP_NOT_CT"),
        ({}, ReadSettings(min_slices=20), "SKIP_TOO_FEW"),
    ],
)
def test_volumes_that_can_be_no_ct_are_refused(tmp_path, changes, settings, code):
    write(tmp_path, "nii.gz", **changes)
    (info,) = find_inputs([tmp_path], settings)
    assert (info.code, info.chosen) == (code, False)


def test_a_stream_holds_what_it_holds(tmp_path):
    import gzip

    path = tmp_path / "two.gz"
    path.write_bytes(b"head" + gzip.compress(bytes(500)) + gzip.compress(bytes(700)))
    assert is_whole_stream(path, 4, 1200)
    assert not is_whole_stream(path, 4, 1201)
    assert not is_whole_stream(path, 5, 1)
