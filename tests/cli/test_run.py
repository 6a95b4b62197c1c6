"""`miliary run`: the output tree, the statuses, and what is left behind when things go wrong."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import shutil
import sys

import pytest
import SimpleITK as sitk  # noqa: N813

import miliary
import oracles_cli
from miliary import case_folder
from miliary.cli import cohort as cohort_module
from miliary.cli import run
from miliary.cohort import attempt, inputs
from miliary.cohort.rows import CASE_COLUMNS, describe_error, done_row
from miliary.config import Config
from miliary.errors import AnatomyError
from miliary.io import case_places
from miliary.io.reading import read_series
from miliary.io.series import find_inputs
from miliary.report.page import render_report

TABLES = {"cases.csv", "series.csv", "index.html", "dataset_description.json", "log.jsonl"}


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def names(folder):
    return {path.name for path in folder.iterdir()}


def snapshot(out):
    """Bytes and times of all files of the cases."""
    return {
        path.relative_to(out): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in out.glob("case-*/*")
    }


@pytest.mark.usefixtures("fast")
class TestOneCase:
    def test_a_scan_becomes_a_case_and_its_tables(self, command, one_scan, tmp_path):
        ended = command("run", one_scan, "--out", tmp_path / "out")
        assert ended.status == 0
        out = tmp_path / "out"
        (row,) = rows(out / "cases.csv")
        assert tuple(row) == CASE_COLUMNS
        assert (row["status"], row["code"], row["source"]) == ("ok", "", "dicom")
        assert (row["miliary"], row["pattern"], row["nodules"]) == ("present", "random", "30")
        assert names(out) == TABLES | {row["case"]}
        assert float(row["seconds"]) >= 0
        (series,) = rows(out / "series.csv")
        assert (series["case"], series["chosen"]) == (row["case"], "true")
        described = json.loads((out / "dataset_description.json").read_text())
        assert described["GeneratedBy"] == [{"Name": "miliary", "Version": miliary.__version__}]

    def test_standard_output_carries_paths_only(self, command, one_scan, tmp_path):
        out = tmp_path / "out"
        ended = command("run", one_scan, "--out", out)
        (folder,) = out.glob("case-*")
        assert ended.out.splitlines() == [str(folder / "report.html"), str(out / "index.html")]
        assert "detect (50%)" in ended.err
        assert "1 of 1 cases done, 0 failed" in ended.err

    def test_what_libraries_print_goes_to_standard_error(
        self, command, one_scan, tmp_path, monkeypatch
    ):
        real = oracles_cli.fake_analyze

        def noisy(*args, **kwargs):
            sys.stdout.write("noise of Python\n")
            os.write(1, b"noise of C\n")
            return real(*args, **kwargs)

        monkeypatch.setattr(oracles_cli, "fake_analyze", noisy)
        ended = command("run", one_scan, "--out", tmp_path / "out")
        assert "noise" not in ended.out
        assert ended.err.count("noise of") == 2

    def test_density_is_per_litre_of_evaluable_lung(self, command, one_scan, tmp_path):
        command("run", one_scan, "--out", tmp_path / "out")
        (row,) = rows(tmp_path / "out" / "cases.csv")
        (path,) = tmp_path.glob("out/case-*/summary.json")
        summary = json.loads(path.read_text())
        litres = sum(lung["evaluable_ml"] for lung in summary["lungs"].values()) / 1000
        assert float(row["density_per_l"]) == pytest.approx(30 / litres, rel=1e-4)
        assert float(row["diameter_cv"]) == summary["size"]["cv"]

    def test_options_reach_the_case(self, command, one_scan, tmp_path):
        words = ["--set", "detect.threshold=0.25", "--seed", 9, "--dicom"]
        command("run", one_scan, "--out", tmp_path / "out", *words)
        (path,) = tmp_path.glob("out/case-*/provenance.json")
        facts = json.loads(path.read_text())
        assert facts["config"]["detect"]["threshold"] == 0.25
        assert (facts["seed"], facts["dicom"]) == (9, True)
        assert (facts["input_files"], facts["series"]["rejected"]) == (24, [])
        assert facts["series"]["chosen"]["code"] == "OK"
        assert facts["input_bytes"] > 2 * 24 * 40 * 56
        assert {"read", "write"} <= facts["seconds"].keys()
        assert {"findings.seg.dcm", "findings.sr.dcm"} <= names(path.parent)

    def test_dicom_results_of_a_volume_file_are_said_to_be_none(self, command, one_scan, tmp_path):
        volume = read_series(find_inputs([one_scan], Config().read)[0], Config().read)
        image = sitk.GetImageFromArray(volume.hu)
        image.SetSpacing(volume.geometry.spacing_mm[::-1].tolist())
        sitk.WriteImage(image, str(tmp_path / "ct.nii.gz"))
        ended = command("run", tmp_path / "ct.nii.gz", "--out", tmp_path / "out", "--dicom")
        assert ended.status == 0
        assert "--dicom needs a DICOM input, got 1 volume file(s)" in ended.err
        assert not list((tmp_path / "out").rglob("*.dcm"))

    def test_no_file_but_the_dicom_ones_names_the_patient(self, command, tmp_path, monkeypatch):
        monkeypatch.setattr(cohort_module, "run_apart", attempt.run_apart)
        monkeypatch.setattr(case_folder, "render_report", render_report)
        secrets = ["featherstonehaugh", "zebedee", "zq7784512", "19571103"]
        oracles_cli.write_series(tmp_path / "in" / "Zebedee ZQ7784512" / "1.2.840.113619.2.55")
        command("run", tmp_path / "in", "--out", tmp_path / "out", "--dicom")
        paths = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
        assert sum(path.suffix == ".dcm" for path in paths) == 2
        for path in paths:
            content = path.read_bytes().decode("latin-1").lower()
            told = [word for word in secrets if word in content or word in path.name.lower()]
            assert told == [] or path.suffix == ".dcm", path
            assert str(tmp_path) not in content

    def test_label_images_of_earlier_runs_are_no_scans(self, command, one_scan, tmp_path):
        shutil.copytree(one_scan, tmp_path / "study")
        for _ in range(2):
            assert command("run", tmp_path, "--out", tmp_path / "out").status == 0
        assert len(rows(tmp_path / "out" / "series.csv")) == 1

    def test_results_alone_are_no_input(self, command, one_scan, tmp_path):
        command("run", one_scan, "--out", tmp_path / "out")
        ended = command("run", tmp_path / "out", "--out", tmp_path / "again")
        assert ended.status == 3
        assert "got results of miliary only" in ended.err


class TestWrongInput:
    @pytest.mark.parametrize("kind", ["empty", "text"])
    def test_a_folder_without_a_scan_fails_with_a_sentence(self, command, tmp_path, kind):
        folder = tmp_path / "in"
        folder.mkdir()
        if kind == "text":
            (folder / "a.txt").write_text("nothing\n")
            (folder / "b.csv").write_text("x\n1\n")
        ended = command("run", folder, "--out", tmp_path / "deep" / "out")
        assert ended.status == 3
        found = "no file at all" if kind == "empty" else "2 file(s) that are not DICOM"
        assert f"{found}; name the folder that holds the images" in ended.err
        assert names(tmp_path) == {"in"}

    def test_a_missing_path_is_wrong_usage(self, command, one_scan, tmp_path):
        ended = command("run", one_scan, tmp_path / "missing", "--out", tmp_path / "out")
        assert ended.status == 1
        assert "which does not exist" in ended.err
        assert names(tmp_path) == set()

    def test_an_unknown_key_is_wrong_usage(self, command, one_scan, tmp_path):
        words = ["--set", "pattern.nonsense=1"]
        assert command("run", one_scan, "--out", tmp_path / "out", *words).status == 1
        assert names(tmp_path) == set()

    def test_an_output_that_is_a_file_is_refused(self, command, one_scan, tmp_path):
        (tmp_path / "out").touch()
        ended = command("run", one_scan, "--out", tmp_path / "out")
        assert ended.status == 1
        assert "the output must be a folder that can be written to" in ended.err

    def test_a_table_of_somebody_else_is_not_overwritten(self, command, one_scan, tmp_path):
        (tmp_path / "cases.csv").write_text("patient,age\na,3\n")
        ended = command("run", one_scan, "--out", tmp_path)
        assert ended.status == 1
        assert "which holds another cases.csv" in ended.err
        assert (tmp_path / "cases.csv").read_text() == "patient,age\na,3\n"

    def test_a_localizer_alone_is_no_chest(self, command, tmp_path):
        tags = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
        oracles_cli.write_series(tmp_path / "in", **tags)
        ended = command("run", tmp_path / "in", "--out", tmp_path / "out")
        assert ended.status == 3
        assert "a localizer of" in ended.err
        assert names(tmp_path) == {"in"}

    def test_no_scheduler_at_the_address(self, command, one_scan, tmp_path, monkeypatch):
        monkeypatch.setattr("miliary.cohort.engine._PATIENCE", 0.2)
        words = ["--scheduler", "nonsense://nowhere"]
        ended = command("run", one_scan, "--out", tmp_path / "out", *words)
        assert ended.status == 1
        assert "--scheduler must be the address of a running Dask scheduler" in ended.err
        assert names(tmp_path) == set()


@pytest.mark.usefixtures("fast")
class TestFailures:
    def test_a_bad_series_is_a_row_and_the_others_are_done(self, command, cohort, tmp_path):
        ended = command("run", cohort, "--out", tmp_path / "out")
        assert ended.status == 2
        found = {row["source"]: row for row in rows(tmp_path / "out" / "cases.csv")}
        assert [row["status"] for row in found.values()] == ["ok", "failed", "ok"]
        bad = found["patient-2"]
        assert bad["code"] == "E_MISSING_SLICES"
        assert bad["message"] != ""
        assert bad["nodules"] == bad["miliary"] == ""
        folders = {row["case"] for row in found.values()} - {bad["case"]}
        assert names(tmp_path / "out") == TABLES | folders
        assert bad["case"] in (tmp_path / "out" / "index.html").read_text()
        assert ended.out == f"{tmp_path / 'out' / 'index.html'}\n"

    @pytest.mark.parametrize(
        ("error", "code", "message"),
        [
            (AnatomyError("a lung must be seen, got none"), "E_NO_LUNGS", "a lung must be seen"),
            (MemoryError(), "E_MEMORY", "needs more memory than it may take"),
            (RuntimeError("/home/x/Smith^John is bad"), "E_INTERNAL", "RuntimeError"),
        ],
    )
    def test_an_analysis_that_fails_is_a_row_and_nothing_more(
        self, command, one_scan, tmp_path, monkeypatch, error, code, message
    ):
        def fail(*args, **kwargs):
            raise error

        monkeypatch.setattr(oracles_cli, "fake_analyze", fail)
        assert command("run", one_scan, "--out", tmp_path / "out").status == 3
        (row,) = rows(tmp_path / "out" / "cases.csv")
        assert (row["status"], row["code"]) == ("failed", code)
        assert message in row["message"]
        assert "Smith" not in row["message"]
        assert names(tmp_path / "out") == TABLES

    def test_an_interrupt_keeps_what_is_done_and_says_how_to_go_on(
        self, command, cohort, tmp_path, monkeypatch
    ):
        real, calls = oracles_cli.fake_analyze, []

        def second_time(volume, *args, **kwargs):
            calls.append(volume.case)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return real(volume, *args, **kwargs)

        monkeypatch.setattr(oracles_cli, "fake_analyze", second_time)
        ended = command("run", cohort, "--out", tmp_path / "out")
        assert ended.status == 130
        assert "interrupted after 2 of 3 cases" in ended.err
        assert "--resume" in ended.err
        assert names(tmp_path / "out") == TABLES | {calls[0]}
        assert {row["status"] for row in rows(tmp_path / "out" / "cases.csv")} == {"ok", "failed"}

    def test_an_interrupt_at_once_leaves_nothing(self, command, one_scan, tmp_path, monkeypatch):
        def interrupt(*args, **kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr(oracles_cli, "fake_analyze", interrupt)
        assert command("run", one_scan, "--out", tmp_path / "a" / "b").status == 130
        assert names(tmp_path) == set()

    def test_a_second_run_in_the_folder_is_refused(self, command, one_scan, tmp_path):
        (tmp_path / "out").mkdir()
        with (tmp_path / "out" / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            ended = command("run", one_scan, "--out", tmp_path / "out")
        assert ended.status == 1
        assert "must belong to one run at a time" in ended.err

    def test_events_are_logged(self, command, cohort, tmp_path):
        command("run", cohort, "--out", tmp_path / "out")
        lines = (tmp_path / "out" / "log.jsonl").read_text().splitlines()
        told = [json.loads(line) for line in lines]
        kinds = [item["event"] for item in told]
        assert (kinds[0], kinds[-1]) == ("run", "end")
        assert (kinds.count("start"), kinds.count("case")) == (2, 3)
        assert (told[0]["cases"], told[-1]["done"]) == (3, 3)
        assert {item["step"] for item in told if item["event"] == "step"} >= {"read", "detect"}

    def test_a_full_disk_is_told(self, command, one_scan, tmp_path, monkeypatch):
        def full(path):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(case_places, "sync", full)
        ended = command("run", one_scan, "--out", tmp_path / "out")
        assert ended.status == 1
        assert "cases.csv must be writable, got No space left on device" in ended.err
        assert not list((tmp_path / "out").glob(".*"))


@pytest.mark.usefixtures("fast")
class TestResume:
    def test_what_is_whole_is_not_done_again(self, command, cohort, tmp_path):
        out = tmp_path / "out"
        command("run", cohort, "--out", out)
        before, table = snapshot(out), (out / "cases.csv").read_text()
        ended = command("run", cohort, "--out", out, "--resume")
        assert ended.status == 2
        assert ended.err.count(", kept") == 2
        assert snapshot(out) == before
        assert (out / "cases.csv").read_text() == table

    @pytest.mark.parametrize(
        "change", ["--set size.x", "seed", "dicom", "input", "version", "half"]
    )
    def test_whatever_has_changed_is_done_again(
        self, command, one_scan, tmp_path, monkeypatch, change
    ):
        scan, out = tmp_path / "in", tmp_path / "out"
        shutil.copytree(one_scan, scan)
        command("run", scan, "--out", out)
        words = {
            "--set size.x": ["--set", "detect.threshold=0.4"],
            "seed": ["--seed", "1"],
            "dicom": ["--dicom"],
        }.get(change, [])
        if change == "input":
            # The same UIDs, other voxels.
            path = scan / "dicom" / "0012.dcm"
            path.write_bytes(path.read_bytes()[:-2] + b"\x10\x02")
        if change == "version":
            monkeypatch.setattr(miliary, "__version__", "99.0")
        if change == "half":
            (path,) = out.glob("case-*/provenance.json")
            path.unlink()
            shutil.rmtree(path.parent)
        ended = command("run", scan, "--out", out, "--resume", *words)
        assert ended.status == 0
        assert ", kept" not in ended.err

    def test_a_failure_is_kept_until_it_is_asked_for(self, command, cohort, tmp_path, monkeypatch):
        out, real, calls = tmp_path / "out", oracles_cli.fake_analyze, []

        def fail(volume, *args, **kwargs):
            calls.append(volume.case)
            if volume.case == calls[0]:
                raise AnatomyError("a lung must be seen, got none")
            return real(volume, *args, **kwargs)

        monkeypatch.setattr(oracles_cli, "fake_analyze", fail)
        command("run", cohort, "--out", out)
        table = (out / "cases.csv").read_text()
        ended = command("run", cohort, "--out", out, "--resume")
        assert (ended.status, len(calls)) == (2, 2)
        assert "failed, kept: E_NO_LUNGS" in ended.err
        assert (out / "cases.csv").read_text() == table
        monkeypatch.setattr(oracles_cli, "fake_analyze", real)
        # Another configuration may do better.
        words = ["--resume", "--set", "detect.threshold=0.4"]
        ended = command("run", cohort / "patient-1", "--out", out, *words)
        assert "kept" not in ended.err
        ended = command("run", cohort, "--out", out, "--retry-failed")
        assert "2 of 3 cases done, 1 failed" in ended.err
        assert ended.err.count(", kept") == 1

    def test_what_only_says_how_to_run_changes_nothing(self, command, one_scan, tmp_path):
        command("run", one_scan, "--out", tmp_path / "out")
        words = ["--resume", "--set", "run.timeout_s=99"]
        assert ", kept" in command("run", one_scan, "--out", tmp_path / "out", *words).err

    def test_files_that_are_still_the_same_are_not_read_again(
        self, command, one_scan, tmp_path, monkeypatch
    ):
        command("run", one_scan, "--out", tmp_path / "out")

        def read(task):
            raise AssertionError(task)

        monkeypatch.setattr(inputs, "read_manifest", read)
        assert ", kept" in command("run", one_scan, "--out", tmp_path / "out", "--resume").err

    def test_copied_and_renamed_files_are_the_same_input(self, command, one_scan, tmp_path):
        command("run", one_scan, "--out", tmp_path / "out")
        (tmp_path / "in").mkdir()
        for path in (one_scan / "dicom").iterdir():
            shutil.copyfile(path, tmp_path / "in" / f"IM{path.stem[::-1]}")
        ended = command("run", tmp_path / "in", "--out", tmp_path / "out", "--resume")
        assert ", kept" in ended.err

    def test_cases_of_other_inputs_stay_in_the_table(self, command, cohort, tmp_path):
        out = tmp_path / "out"
        command("run", cohort, "--out", out)
        command("run", cohort / "patient-1", "--out", out)
        # The row of the failed one goes: it has no folder, and is no longer asked for.
        assert len(rows(out / "cases.csv")) == 2
        assert len(rows(out / "series.csv")) == 2


class TestPlan:
    def series(self, folder):
        return find_inputs([folder], Config().read)

    def test_the_best_series_of_a_study_is_analysed(self, tmp_path):
        self.two_series(tmp_path)
        infos, wanted, refused = run.plan(self.series(tmp_path), all_series=False)
        assert (len(infos), len(wanted), refused) == (2, 1, [])

    def test_all_series_are_analysed_on_request(self, tmp_path):
        self.two_series(tmp_path)
        infos, wanted, _ = run.plan(self.series(tmp_path), all_series=True)
        assert [info.case for info in wanted] == [info.case for info in infos]
        assert all(info.chosen for info in infos)
        assert sum("--all-series" in info.reason for info in infos) == 1

    def test_a_refused_series_beside_a_sound_one_is_no_case(self, tmp_path):
        self.two_series(tmp_path)
        (tmp_path / "b" / "0010.dcm").unlink()
        _, wanted, refused = run.plan(self.series(tmp_path), all_series=False)
        assert ([info.source for info in wanted], refused) == (["a"], [])

    def two_series(self, folder):
        for name in ("a", "b"):
            oracles_cli.write_series(folder / name, seed=1)
        # Another series of the same study, with instances of its own.
        import pydicom

        for path in (folder / "b").iterdir():
            dataset = pydicom.dcmread(path)
            dataset.SeriesInstanceUID += ".7"
            dataset.SOPInstanceUID += ".7"
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            dataset.save_as(path)


class TestRows:
    def summary(self, **changes):
        lung = {"volume_ml": 2000.0, "evaluable_ml": 1500.0, "excluded": []}
        whole = {
            "lungs": {"right": lung, "left": lung},
            "detection": {"found": 12},
            "size": {"median_mm": 1.8, "cv": 0.2},
            "pattern": {"label": "none"},
            "miliary": {"flag": "absent", "criteria": []},
        }
        return whole | changes

    def test_a_sound_case_is_ok(self, one_scan):
        row = done_row(find_inputs([one_scan], Config().read)[0], self.summary())
        assert (row["status"], row["code"], row["message"]) == ("ok", "", "")
        assert row["density_per_l"] == 4.0

    @pytest.mark.parametrize(
        "lost", [None, {"evaluable_ml": 0.0, "excluded": [{"reason": "rind"}]}]
    )
    def test_a_lung_that_cannot_be_judged_degrades(self, one_scan, lost):
        lungs = self.summary()["lungs"] | {"left": lost}
        row = done_row(find_inputs([one_scan], Config().read)[0], self.summary(lungs=lungs))
        assert (row["status"], row["code"]) == ("degraded", "W_LUNG_EXCLUDED")
        why = "rind" if lost else "it was not found"
        assert row["message"] == f"The left lung is not assessable: {why}."

    def test_a_flag_that_cannot_be_given_degrades(self, one_scan):
        # As `judge` gives them: the criterion that failed, then others that nobody can tell.
        criteria = [
            {"name": "assessable", "met": False, "sentence": "Slices too thick."},
            {"name": "uniform", "met": None, "sentence": "Too few to tell."},
        ]
        flag = {"flag": "not_assessable", "criteria": criteria}
        row = done_row(find_inputs([one_scan], Config().read)[0], self.summary(miliary=flag))
        assert (row["status"], row["code"]) == ("degraded", "W_NOT_ASSESSABLE")
        assert row["message"] == "The miliary pattern is not assessable. Slices too thick."

    def test_an_unforeseen_error_tells_no_paths_and_no_quoted_text(self):
        error = ValueError("bad 'Smith^John' in /data/smith/0001.dcm or C:\\x\\y, 3 of 4")
        assert describe_error(error).startswith("ValueError: bad … in … or … 3 of 4;")

    def test_the_columns_are_those_of_the_contract(self):
        assert ",".join(CASE_COLUMNS) == (
            "case,source,status,code,message,miliary,pattern,nodules,density_per_l,"
            "diameter_median_mm,diameter_cv,seconds,peak_mb,run_key"
        )
