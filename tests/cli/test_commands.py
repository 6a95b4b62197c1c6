"""`series`, `phantom`, `score`, `config` and `demo`."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import tomllib
from functools import partial

import numpy as np
import pydicom
import pytest

import oracles_cli
from miliary.cli import demo, phantom
from miliary.cli.common import align
from miliary.config import Config, config_dict, load_config
from miliary.config.load import load_settings
from miliary.io.images import read_mask
from miliary.io.reading import read
from miliary.io.tables import write_csv
from miliary.phantom import PATTERNS, Phantom, PhantomSpec, TrueNodules
from miliary.phantom.spec import LOBES, SIDES, WISHES

SMALL = ["--shape", "24", "40", "56", "--spacing", "6", "5", "4.5"]


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def quick_phantom(monkeypatch):
    """A phantom that takes no time, of the size asked for."""

    def make(spec):
        from miliary.geometry import Geometry
        from miliary.volume import Volume

        points = np.array([[-60.0, 5.5, 10.25], [50.0, -8.0, 20.0]])
        scanner = spec.scanner
        hu = np.full(scanner.shape, -800, np.int16)
        hu[:, :12] = 40
        geometry = Geometry.aligned(scanner.shape, scanner.spacing_mm, (-130.0, -110.0, -300.0))
        nodules = TrueNodules(
            points, np.array([1.8, 2.25]), np.array(["right", "left"]), np.array(["random"] * 2)
        )
        lungs = (hu < -500).astype(np.uint8)
        return Phantom(
            spec, Volume(hu, geometry), nodules, 10 * lungs, lungs, lungs, lungs, lungs > 1
        )

    monkeypatch.setattr("miliary.phantom.make_phantom", make)
    monkeypatch.setattr("miliary.phantom.make_serial_phantoms", lambda visits: map(make, visits))


class TestSeries:
    def test_every_series_stands_in_the_table_with_its_reason(self, command, cohort):
        ended = command("series", cohort)
        assert (ended.status, ended.err) == (0, "")
        heading, *lines = ended.out.splitlines()
        assert heading.split() == [
            "chosen", "case", "source", "slices", "size", "spacing_mm", "kernel", "code", "reason",
        ]  # fmt: skip
        assert [line.split()[0] for line in lines] == ["yes", "no", "yes"]
        assert "E_MISSING_SLICES" in lines[1]
        # Aligned: the column of codes begins at one place.
        at = heading.index("code")
        assert {line[at - 2 : at] for line in lines} == {"  "}

    def test_csv_is_that_of_a_run(self, command, cohort):
        found = list(csv.DictReader(io.StringIO(command("series", cohort, "--csv").out)))
        assert [row["chosen"] for row in found] == ["true", "false", "true"]
        assert found[0]["slice_spacing_mm"] == "6.0"

    def test_nothing_found_and_missing_paths_have_their_status(self, command, tmp_path):
        assert command("series", tmp_path).status == 3
        assert command("series", tmp_path / "missing").status == 1

    def test_settings_of_reading_count(self, command, one_scan):
        ended = command("series", one_scan, "--set", "read.min_slices=100")
        assert "SKIP_TOO_FEW" in ended.out

    def test_a_header_cannot_write_to_the_terminal(self, command, tmp_path):
        oracles_cli.write_series(tmp_path, ConvolutionKernel="B50\x1b[31mf")
        assert "\x1b" not in command("series", tmp_path).out


class TestPhantom:
    @pytest.mark.usefixtures("quick_phantom")
    def test_a_phantom_is_a_series_with_its_truth(self, command, tmp_path):
        ended = command("phantom", tmp_path / "p", *SMALL, "--seed", 5, "--coding", "rle")
        assert (ended.status, ended.out, ended.err) == (0, f"{tmp_path / 'p'}\n", "")
        assert names(tmp_path / "p") == {
            "dicom", "truth.csv", "tissues.csv", "phantom.toml", "lungs.nii.gz", "lobes.nii.gz",
            "hemithorax.nii.gz", "fissures.nii.gz", "vessels.nii.gz", "airways.nii.gz",
            "tissues.nii.gz",
        }  # fmt: skip
        assert read(tmp_path / "p").hu.shape == (24, 40, 56)
        assert read_mask(tmp_path / "p" / "lungs.nii.gz")[0].any()
        assert (tmp_path / "p" / "truth.csv").read_text().splitlines() == [
            "x_mm,y_mm,z_mm,diameter_mm,lung,pattern",
            "-60.0,5.5,10.25,1.8,right,random",
            "50.0,-8.0,20.0,2.25,left,random",
        ]
        tissues = (tmp_path / "p" / "tissues.csv").read_text().splitlines()
        assert tissues[:2] + tissues[11:12] == ["label,tissue", "0,air", "10,lung"]

    @pytest.mark.usefixtures("quick_phantom")
    def test_wishes_are_read_from_a_file_and_written_beside_the_scan(self, command, tmp_path):
        (tmp_path / "w.toml").write_text("[disease]\nrind_mm = 9.0\n[[nodules]]\nn_nodules = 3\n")
        ended = command("phantom", tmp_path / "p", *SMALL, "--config", tmp_path / "w.toml",
                        "--set", "scanner.dose=0.5", "--encased", "left")  # fmt: skip
        assert (ended.status, ended.err) == (0, "")
        again = load_settings(PhantomSpec(), tmp_path / "p" / "phantom.toml")
        assert again == PhantomSpec.of(
            shape=(24, 40, 56), spacing_mm=(6.0, 5.0, 4.5), rind_mm=9.0, n_nodules=3, dose=0.5,
            encased_lung="left",
        )  # fmt: skip

    @pytest.mark.usefixtures("quick_phantom")
    def test_visits_are_studies_of_one_patient_at_growing_dates(self, command, tmp_path):
        (tmp_path / "later.toml").write_text("[scanner]\nnoise_hu = 40.0\n")
        ended = command("phantom", tmp_path / "p", *SMALL, "--visit", tmp_path / "later.toml",
                        "--visit", tmp_path / "later.toml")  # fmt: skip
        assert (ended.status, ended.err) == (0, "")
        assert names(tmp_path / "p") == {"visit-1", "visit-2", "visit-3"}
        headers = [
            pydicom.dcmread(tmp_path / "p" / f"visit-{k}" / "dicom" / "0001.dcm") for k in (1, 2, 3)
        ]
        assert [header.StudyDate for header in headers] == ["20260101", "20260302", "20260501"]
        assert len({header.PatientID for header in headers}) == 1
        assert len({header.StudyInstanceUID for header in headers}) == 3
        assert "noise_hu = 40.0" in (tmp_path / "p" / "visit-2" / "phantom.toml").read_text()

    def test_options_are_the_fields_of_the_spec(self, command, tmp_path, monkeypatch):
        made = []
        monkeypatch.setattr(phantom, "write_phantom", lambda _, spec, **__: made.append(spec))
        command("phantom", tmp_path, *SMALL, "--pattern", "none", "--diameter", "2.5", "--n", "7",
                "--lungs", "left", "--noise", "9", "--scale", "0.5", "--psf", 1, 2, 3,
                "--diameter-sd", "0.1", "--seed", 4)  # fmt: skip
        command("phantom", tmp_path)
        assert made == [
            PhantomSpec.of(
                shape=(24, 40, 56), spacing_mm=(6.0, 5.0, 4.5), pattern="none", diameter_mm=2.5,
                n_nodules=7, lungs="left", noise_hu=9.0, scale=0.5, psf_fwhm_mm=(1.0, 2.0, 3.0),
                diameter_sd_mm=0.1, seed=4,
            ),
            PhantomSpec(),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["--pattern", "zebra"], "pattern must be one of"),
            (["--diameter", "-1"], "diameter_mm must be positive, got -1.0"),
            (["--coding", "mp3"], "--coding must be one of none, rle, jpeg-ls, got 'mp3'"),
        ],
    )
    def test_wishes_that_cannot_be_are_refused(self, command, tmp_path, words, sentence):
        ended = command("phantom", tmp_path / "p", *words)
        assert ended.status == 1
        assert sentence in ended.err
        assert names(tmp_path) == set()

    @pytest.mark.usefixtures("quick_phantom")
    def test_a_folder_with_something_in_it_is_refused(self, command, tmp_path):
        (tmp_path / "notes.txt").touch()
        ended = command("phantom", tmp_path, *SMALL)
        assert ended.status == 1
        assert "must be new or empty" in ended.err

    @pytest.mark.usefixtures("quick_phantom")
    def test_a_failure_leaves_nothing(self, command, tmp_path, monkeypatch):
        def full(*args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("miliary.io.tables.write_csv", full)
        ended = command("phantom", tmp_path / "p", *SMALL)
        assert ended.status == 1
        assert "No space left on device" in ended.err
        assert names(tmp_path) == set()

    def test_the_help_names_what_there_is(self, command):
        told = " ".join(command("phantom", "--help").out.split())
        assert all(name in told for name in (*PATTERNS, *SIDES, *LOBES))
        options = [*phantom._TEXTS.values(), *phantom._NUMBERS.values(), *phantom._TRIPLES.values()]
        assert {field for field, _ in options} <= WISHES.keys()


@pytest.mark.usefixtures("fast")
class TestScore:
    @pytest.fixture
    def case(self, command, one_scan, tmp_path):
        command("run", one_scan, "--out", tmp_path / "out")
        (folder,) = (tmp_path / "out").glob("case-*")
        return folder

    def truth(self, case, path):
        with (case / "nodules.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))[:20]
        columns = {
            name: [float(row[name]) for row in rows]
            for name in ("x_mm", "y_mm", "z_mm", "diameter_mm")
        }
        columns["x_mm"][0] += 500.0
        return write_csv(path, columns)

    def test_found_nodules_are_held_against_known_ones(self, command, case, tmp_path):
        truth = self.truth(case, tmp_path / "truth.csv")
        facts = json.loads(command("score", case, truth, "--json").out)
        assert (facts["true"], facts["found"], facts["matched"]) == (20, 30, 19)
        assert facts["sensitivity"] == 0.95
        assert facts["false_per_litre"] == pytest.approx(11 / facts["lung_litres"], rel=1e-3)
        assert (facts["miliary"], facts["pattern"]) == ("present", "random")
        assert sum(group["true"] for group in facts["by_size"]) == 20

    def test_the_table_says_the_same_and_takes_a_folder(self, command, case, tmp_path):
        self.truth(case, tmp_path / "truth.csv")
        ended = command("score", case, tmp_path)
        assert re.search(r"^sensitivity +0\.95$", ended.out, re.MULTILINE)

    def test_a_wider_reach_matches_more(self, command, case, tmp_path):
        truth = self.truth(case, tmp_path / "truth.csv")
        words = ["--json", "--reach", "2000"]
        assert json.loads(command("score", case, truth, *words).out)["matched"] == 20
        assert command("score", case, truth, "--reach", "0").status == 1

    def test_a_table_without_places_is_refused(self, command, case, tmp_path):
        (tmp_path / "truth.csv").write_text("x,y\n1,2\n")
        ended = command("score", case, tmp_path / "truth.csv")
        assert ended.status == 1
        assert "must have x_mm, y_mm, z_mm and diameter_mm" in ended.err


class TestConfig:
    def test_the_printed_file_reads_back_unchanged(self, command, tmp_path):
        ended = command("config", "--set", "detect.threshold=0.3")
        assert (ended.status, ended.err) == (0, "")
        (tmp_path / "c.toml").write_text(ended.out)
        expected = load_config(overrides=["detect.threshold=0.3"])
        assert load_config(tmp_path / "c.toml") == expected

    def test_a_file_and_a_change_on_top(self, command, tmp_path):
        (tmp_path / "c.toml").write_text("[detect]\nthreshold = 0.7\nkeep_all = true\n")
        words = ["--config", tmp_path / "c.toml", "--set", "detect.threshold=0.9"]
        found = tomllib.loads(command("config", *words).out)
        assert found["detect"]["threshold"] == 0.9
        assert found["detect"]["keep_all"] is True
        assert found["lungs"] == json.loads(json.dumps(config_dict(Config())["lungs"]))


@pytest.mark.usefixtures("fast")
class TestDemo:
    def test_it_ends_with_a_report_to_open(self, command, one_scan, tmp_path, monkeypatch):
        sample = shutil.copytree(one_scan, tmp_path / "sample")
        truth = {"x_mm": [0.0], "y_mm": [0.0], "z_mm": [0.0], "diameter_mm": [2.0]}
        write_csv(sample / "truth.csv", truth)
        monkeypatch.setattr(demo, "sample_folder", lambda: sample)
        ended = command("demo", "--out", tmp_path / "out")
        assert ended.status == 0
        (report,) = (tmp_path / "out").glob("case-*/report.html")
        assert ended.out == f"{report}\n"
        assert re.search(r"^true +1$", ended.err, re.MULTILINE)
        assert "sensitivity" in ended.err

    @pytest.mark.usefixtures("quick_phantom")
    def test_without_sample_data_a_phantom_is_made(self, command, tmp_path, monkeypatch):
        monkeypatch.setattr(demo, "sample_folder", lambda: None)
        small = partial(PhantomSpec.of, shape=(24, 40, 56), spacing_mm=(6.0, 5.0, 4.5))
        monkeypatch.setattr("miliary.phantom.PhantomSpec", small)
        ended = command("demo", "--out", tmp_path / "out")
        assert ended.status == 0
        assert ended.out.strip().endswith("report.html")
        assert names(tmp_path) == {"out"}

    def test_the_sample_lies_beside_its_truth(self, tmp_path, monkeypatch):
        (tmp_path / "sample_data" / "random").mkdir(parents=True)
        (tmp_path / "sample_data" / "random" / "truth.csv").touch()
        package = tmp_path / "pipeline" / "miliary"
        monkeypatch.setattr(demo.miliary, "__file__", str(package / "__init__.py"))
        assert demo.sample_folder() == (tmp_path / "sample_data" / "random").resolve()


@pytest.mark.usefixtures("fast")
def test_a_terminal_gets_a_bar_and_every_failure_in_full(
    command, cohort, tmp_path, monkeypatch, capfd
):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    ended = command("run", cohort, "--out", tmp_path / "out")
    assert ended.status == 2
    assert "━" in ended.err
    assert "failed: E_MISSING_SLICES" in ended.err
    assert ended.out == f"{tmp_path / 'out' / 'index.html'}\n"


def test_columns_are_aligned():
    assert align([["a", "bb"], ["ccc", "d"]]) == "a    bb\nccc  d"
