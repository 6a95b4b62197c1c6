"""Multi-frame objects in every coding, and decoders that crash, hang or eat memory."""

from __future__ import annotations

import time

import numpy as np
import pydicom
import pytest
from numpy.testing import assert_array_equal
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEGLSLossless,
    LegacyConvertedEnhancedCTImageStorage,
    RLELossless,
)

import oracles_io as made
from miliary.config.reading import ReadSettings
from miliary.errors import SeriesError
from miliary.io import decoders as decoding
from miliary.io.decoders import Decoders
from miliary.io.layout import PixelLayout
from miliary.io.reading import read, read_series
from miliary.io.series import find_inputs

SETTINGS = ReadSettings()


def multi(folder, rng, edit=None):
    """A multi-frame object of the chest with its frames shuffled."""
    volume = made.chest()
    path = made.enhanced(folder, volume, rng.permutation(19)) / "multi.dcm"
    if edit:
        dataset = pydicom.dcmread(path)
        edit(dataset)
        dataset.save_as(path)
    return volume


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, DeflatedExplicitVRLittleEndian])
def test_frames_in_every_coding_are_read(tmp_path, rng, syntax):
    def edit(dataset):
        if syntax.is_encapsulated:
            dataset.compress(syntax, generate_instance_uid=False)
        else:
            dataset.file_meta.TransferSyntaxUID = syntax

    volume = multi(tmp_path, rng, edit)
    assert_array_equal(read(tmp_path).hu, volume.hu)


@pytest.mark.parametrize("has_table", [True, False])
def test_frames_of_several_fragments_are_put_together(tmp_path, rng, has_table):
    def edit(dataset):
        dataset.compress(JPEGLSLossless, generate_instance_uid=False)
        frames = list(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=19))
        dataset.PixelData = encapsulate(frames, fragments_per_frame=3, has_bot=has_table)
        dataset["PixelData"].VR = "OB"

    volume = multi(tmp_path, rng, edit)
    assert_array_equal(read(tmp_path).hu, volume.hu)


def test_legacy_converted_objects_are_read(tmp_path, rng):
    def edit(dataset):
        dataset.SOPClassUID = LegacyConvertedEnhancedCTImageStorage
        dataset.file_meta.MediaStorageSOPClassUID = LegacyConvertedEnhancedCTImageStorage

    volume = multi(tmp_path, rng, edit)
    assert_array_equal(read(tmp_path).hu, volume.hu)


def test_stacks_of_one_object_are_series_of_their_own(tmp_path, rng):
    def edit(dataset):
        for index, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            content = pydicom.Dataset()
            position = frame.PlanePositionSequence[0]
            upper = float(position.ImagePositionPatient[2]) > -119.0
            content.StackID = "upper" if upper else "lower"
            content.InStackPositionNumber = index + 1
            frame.FrameContentSequence = [content]

    volume = multi(tmp_path, rng, edit)
    infos = find_inputs([tmp_path], ReadSettings(min_slices=5))
    assert sorted((info.n_slices, info.code) for info in infos) == [(9, "OK"), (10, "OK")]
    parts = [read_series(info, ReadSettings(min_slices=5)).hu for info in infos]
    parts.sort(key=len)
    assert_array_equal(np.concatenate([parts[1], parts[0]]), volume.hu)


def test_phases_of_one_object_are_told_apart(tmp_path, rng):
    def edit(dataset):
        for index, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            content = pydicom.Dataset()
            content.TemporalPositionIndex = 1 + index % 2
            frame.FrameContentSequence = [content]
            frame.PlanePositionSequence[0].ImagePositionPatient = [0, 0, 1.25 * (index // 2)]

    multi(tmp_path, rng, edit)
    infos = find_inputs([tmp_path], ReadSettings(min_slices=5))
    assert sorted((info.n_slices, info.code) for info in infos) == [(9, "OK"), (10, "OK")]


LAYOUT = PixelLayout(8, 9, 1, 1, 16, 16, 15, True, str(JPEGLSLossless), 100, -1, 500)


def replaced_worker(monkeypatch, tmp_path, body: str):
    """Put a worker of ours in the place of the real one."""
    (tmp_path / "fake_worker.py").write_text(body)
    real = decoding.subprocess.Popen

    def popen(command, **options):
        options["env"] = options["env"] | {"PYTHONPATH": str(tmp_path)}
        return real([command[0], "-m", "fake_worker"], **options)

    monkeypatch.setattr(decoding.subprocess, "Popen", popen)


@pytest.mark.parametrize(
    "body",
    [
        "import os; os.abort()",
        "import time; time.sleep(60)",
        "print('rubbish on the wire', flush=True); import time; time.sleep(60)",
    ],
    ids=["crash", "hang", "rubbish"],
)
def test_a_decoder_that_misbehaves_is_an_error_of_the_frame(monkeypatch, tmp_path, body):
    replaced_worker(monkeypatch, tmp_path, body)
    pool = Decoders(1, seconds=1.0, megabytes=512.0)
    started = time.perf_counter()
    with pytest.raises((ValueError, TypeError)):
        pool.decode(b"frame", LAYOUT)
    with pytest.raises((ValueError, TypeError)):
        pool.decode(b"frame", LAYOUT)
    pool.close()
    assert time.perf_counter() - started < 10


def test_a_decoder_stays_usable_after_a_bad_frame(rng):
    pool = Decoders(1, seconds=20.0, megabytes=512.0)
    with pytest.raises(ValueError, match="must be decodable"):
        pool.decode(b"no JPEG-LS", LAYOUT)
    values = rng.integers(-900, 900, (8, 9)).astype(np.int16)
    dataset = pydicom.Dataset()
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 8, 9, 1
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = pydicom.uid.CTImageStorage, "1.2"
    dataset.PixelData = values.tobytes()
    dataset.compress(JPEGLSLossless, generate_instance_uid=False)
    frame = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
    assert_array_equal(pool.decode(frame, LAYOUT), values)
    pool.close()


def test_a_coded_frame_much_longer_than_its_pixels_is_not_decoded(tmp_path):
    made.write_series(tmp_path, made.chest(), seed=1, coding="rle")
    path = tmp_path / "0004.dcm"
    dataset = pydicom.dcmread(path)
    frame = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([frame + bytes(1 << 20)])
    dataset.save_as(path)
    with pytest.raises(SeriesError, match=r"ValueError in 0004\.dcm") as caught:
        read(tmp_path)
    assert caught.value.code == "E_PIXELS"


def test_a_file_that_changes_in_between_is_refused(tmp_path):
    made.write(tmp_path)
    (info,) = find_inputs([tmp_path], SETTINGS)
    with (tmp_path / "0004.dcm").open("ab") as file:
        file.write(bytes(2))
    with pytest.raises(SeriesError, match=r"0004\.dcm") as caught:
        read_series(info, SETTINGS)
    assert caught.value.code == "E_PIXELS"
