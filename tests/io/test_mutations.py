"""Damaged files are refused or read; nothing crashes. `benchmarks/mutations.py` does thousands."""

from __future__ import annotations

import time

import pytest

from miliary.config.reading import ReadSettings
from miliary.errors import InputError
from miliary.io.reading import read_series
from miliary.io.series import find_inputs, series_columns
from mutations import BASES, Mutator

SETTINGS = ReadSettings()
#: Folders for each kind of file; two of them go through the whole command line as well.
N_EACH, SLOWEST_S = 14, 10.0


@pytest.fixture(scope="module")
def mutator(tmp_path_factory):
    return Mutator(tmp_path_factory.mktemp("whole"))


def numbers(base: str) -> range:
    first = list(BASES).index(base)
    return range(first, first + N_EACH * len(BASES), len(BASES))


@pytest.mark.parametrize("base", BASES)
def test_damaged_files_are_read_or_refused_with_a_code(tmp_path, mutator, base):
    for number in numbers(base):
        name = mutator.make(number, tmp_path / str(number))
        began = time.perf_counter()
        try:
            infos = find_inputs([tmp_path / str(number)], SETTINGS)
        except InputError:
            continue
        assert len(series_columns(infos)["code"]) == len(infos) >= 1
        for info in infos:
            assert info.code == "OK" or info.code.startswith(("W_", "E_", "SKIP_")), name
            if not info.usable:
                assert info.reason, name
                continue
            try:
                volume = read_series(info, SETTINGS)
            except InputError as error:
                assert error.code.startswith("E_"), name  # noqa: PT017
                continue
            assert volume.hu.ndim == 3
            assert volume.hu.min() >= -1024
        assert time.perf_counter() - began < SLOWEST_S, name


@pytest.mark.parametrize("base", ["explicit", "jpeg-ls", "enhanced", "zip", "nii.gz"])
def test_damaged_files_have_a_row_in_both_commands(tmp_path, mutator, base, capfd):
    from miliary.cli.main import main

    for number in numbers(base)[:2]:
        folder = tmp_path / str(number)
        name = mutator.make(number, folder)
        capfd.readouterr()
        assert main(["series", str(folder), "--csv"]) in (0, 3), name
        listed, sentence = capfd.readouterr()
        assert len(listed.splitlines()) > 1 or "must hold a CT" in sentence, name
        assert main(["run", str(folder), "--out", str(tmp_path / f"out{number}")]) in (0, 2, 3)
        assert "internal error" not in capfd.readouterr().err, name
