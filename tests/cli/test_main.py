"""Every command's help, wrong usage, and how little is imported before a command runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import miliary
from miliary.cli import main as main_module
from miliary.cli.main import COMMANDS, main

HEAVY = ("numpy", "scipy", "skimage", "SimpleITK", "pydicom", "highdicom", "matplotlib", "jinja2",
         "rich", "distributed")  # fmt: skip


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from miliary.cli.main import main; main(['run', '--help']); "
        f"sys.exit(', '.join(set({HEAVY!r}) & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    # A text as exit status is printed on standard error.
    assert ended.stderr.strip() == ""
    assert "--resume" in ended.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(command, name):
    ended = command(name, "--help")
    assert ended.status == 0
    assert ended.out.startswith(f"usage: miliary {name}")
    assert ended.err == ""


def test_the_help_names_every_command(command):
    assert all(name in command("--help").out for name in COMMANDS)


def test_the_version_is_printed(command):
    assert command("--version").out == f"miliary {miliary.__version__}\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["dance"], "invalid choice: 'dance'"),
        (["run", "somewhere"], "the following arguments are required: --out"),
        (["run", ".", "--out", "x", "--jobs", "two"], "invalid int value: 'two'"),
        (["run", ".", "--out", "x", "--jobs", "0"], "--jobs must be at least 1, got 0"),
        (["config", "--set", "detect.treshold=1"], "perhaps you meant 'threshold'"),
        (["config", "--config", "missing.toml"], "got missing.toml: No such file"),
        (["score", "missing", "missing.csv"], "CASE must be a case folder of `miliary run`"),
    ],
)
def test_wrong_usage_is_a_sentence_and_status_1(command, words, sentence):
    ended = command(*words)
    assert ended.status == 1
    assert sentence in ended.err
    assert ended.err.splitlines()[-1].startswith("miliary: error: ")
    assert ended.out == ""


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("x"), 1, "internal error (ZeroDivisionError); please report"),
    ],
)
def test_what_nobody_catches_ends_in_a_sentence(command, monkeypatch, error, status, sentence):
    def fail(args):
        raise error

    monkeypatch.setattr(main_module.config, "execute", fail)
    ended = command("config")
    assert ended.status == status
    assert sentence in ended.err


def test_the_console_script_and_the_module_give_the_status():
    for words in (["-m", "miliary", "dance"], ["-c", "import miliary.__main__ as m; m.main()"]):
        ended = subprocess.run([sys.executable, *words], capture_output=True, text=True)
        assert ended.returncode == (1 if "dance" in words else 0)


def test_a_reader_that_stops_reading_is_no_failure():
    command = f"{sys.executable} -m miliary config | head -n 1; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_main_takes_the_arguments_of_the_process(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(Path("bin") / "miliary"), "--version"])
    assert main() == 0
    assert miliary.__version__ in capsys.readouterr().out
