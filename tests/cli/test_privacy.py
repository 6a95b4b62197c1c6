"""What tells who the patient is comes out nowhere but in the two DICOM results."""

from __future__ import annotations

import gzip
from pathlib import Path

import pydicom
import pytest

import oracles_cli
import oracles_io as made

#: Planted in every slice: value by keyword. UIDs are the writer's own, read back from the files.
PLANTED = {
    "PatientName": "Featherstonehaugh^Zebedee",
    "PatientID": "ZQ7784512",
    "PatientBirthDate": "19571103",
    "PatientAddress": "Quincunx Lane 77",
    "OtherPatientIDs": "XX-909090",
    "AccessionNumber": "ACC55512345",
    "StudyID": "STUDY-8181",
    "ReferringPhysicianName": "Oxenfoord^Perpetua",
    "InstitutionName": "Saint Wulfric Infirmary",
    "StudyDescription": "Thorax Zebedee",
    "SeriesDescription": "Lung ZQ7784512",
    "PatientComments": "neighbour of Mr Quincunx",
    "DeviceSerialNumber": "SN-42424242",
}
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
FOLDER = "Zebedee ZQ7784512/ACC55512345/19571103"
#: Words that no output may hold, in any case.
WORDS = (
    "featherstonehaugh",
    "zebedee",
    "zq7784512",
    "19571103",
    "1957-11-03",
    "quincunx",
    "909090",
    "acc55512345",
    "study-8181",
    "oxenfoord",
    "wulfric",
    "42424242",
)


def plant(folder: Path, seed: int, part: str) -> list[str]:
    """A series whose tags, folders and files are full of names; gives its UIDs."""
    oracles_cli.write_series(folder / FOLDER / part, seed, **PLANTED)
    datasets = [pydicom.dcmread(path) for path in (folder / FOLDER / part).glob("*.dcm")]
    uids = {str(dataset[name].value) for dataset in datasets for name in UIDS}
    study = folder / FOLDER / part / datasets[0].StudyInstanceUID
    study.mkdir()
    for path in (folder / FOLDER / part).glob("*.dcm"):
        path.rename(study / f"ZEBEDEE-{path.name}")
    return sorted(uids)


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> tuple[Path, list[str]]:
    """Three series: a sound one, one with a slice missing, one truncated."""
    folder = tmp_path_factory.mktemp("planted")
    uids = [uid for seed, part in enumerate("abc", start=1) for uid in plant(folder, seed, part)]
    middle = sorted((folder / FOLDER / "b").rglob("*.dcm"))[9]
    middle.unlink()
    last = sorted((folder / FOLDER / "c").rglob("*.dcm"))[4]
    last.write_bytes(last.read_bytes()[:-200])
    return folder, uids


def told(content: str, uids: list[str]) -> list[str]:
    text = content.lower()
    return [word for word in (*WORDS, *uids) if word in text]


def test_a_run_names_nobody(command, planted, tmp_path):
    folder, uids = planted
    ended = command("run", folder, "--out", tmp_path / "out", "--dicom")
    assert ended.status == 2
    assert told(ended.out + ended.err, uids) == []
    paths = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert sum(path.suffix == ".dcm" for path in paths) == 2
    for path in paths:
        assert told(str(path.relative_to(tmp_path)), uids) == []
        if path.suffix == ".dcm":
            continue
        content = path.read_bytes()
        if path.suffix == ".gz":
            content += gzip.decompress(content)
        assert told(content.decode("latin-1"), uids) == [], path.name
        assert str(folder) not in content.decode("latin-1"), path.name


@pytest.mark.parametrize("options", [(), ("--csv",)])
def test_the_list_of_series_names_nobody(command, planted, options):
    folder, uids = planted
    ended = command("series", folder, *options)
    assert ended.status == 0
    assert told(ended.out + ended.err, uids) == []


def test_a_fault_of_the_program_names_nobody(command, planted, tmp_path, monkeypatch):
    folder, uids = planted

    def fail(volume, *_, **__):
        raise RuntimeError(f"no luck with '{PLANTED['PatientName']}' in {folder / FOLDER}")

    monkeypatch.setattr(oracles_cli.sys.modules["miliary.analyze"], "analyze", fail)
    command("run", folder, "--out", tmp_path / "out")
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            assert told(path.read_bytes().decode("latin-1"), uids) == [], path.name


def test_a_case_name_tells_nothing_without_the_key(command, tmp_path, monkeypatch):
    made.write(tmp_path / "in")
    names = []
    for key in ("one", "two"):
        monkeypatch.setenv("MILIARY_CASE_KEY", key)
        names.append(command("series", tmp_path / "in", "--csv").out.splitlines()[1].split(",")[0])
    assert len(set(names)) == 2
