"""The case folders that a comparison is about, analysed first where they are scans."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from miliary.cli.common import say
from miliary.cli.run import Options, run_inputs
from miliary.errors import CaseFolderError, UsageError

if TYPE_CHECKING:
    from miliary.config import Config

#: Where scans that had to be analysed first are kept, in the folder of the comparison.
CASES = "cases"


def case_folders(inputs: Sequence[Path], out: Path, config: Config, options: Options) -> list[Path]:
    """Find the case folders among the inputs; what is none is analysed as `miliary run` does.

    Parameters
    ----------
    inputs : sequence of Path
        Case folders, or anything that holds scans.
    out : Path
        The folder of the comparison; analyses go to its folder `cases`.
    config : Config
        Every setting.
    options : Options
        How to run.

    Returns
    -------
    list of Path
        In the order of the inputs; an input that holds several studies gives several.

    Raises
    ------
    CaseFolderError
        Where an input is a folder of results, but not of one case, or could not be analysed.
    """
    from miliary.io.case_places import is_case_folder

    folders: list[Path] = []
    for path in inputs:
        found = [path] if is_case_folder(path) else _analysed(path, out, config, options)
        folders += [folder for folder in found if folder not in folders or is_case_folder(path)]
    return folders


def _analysed(path: Path, out: Path, config: Config, options: Options) -> list[Path]:
    if (path / "cases.csv").is_file() or (path / "summary.json").is_file():
        raise CaseFolderError(
            f"a case must be a folder that `miliary run` wrote, got {path}, which is not a whole "
            "one; name the folder that holds summary.json"
        )
    _check_free(out)
    say(f"{path} is no case folder: analysing it first")
    finished = run_inputs([path], out / CASES, config, options)
    if not finished.reports:
        raise CaseFolderError(
            f"a scan to compare must be analysed first, got none done in {path}; see "
            f"{out / CASES / 'cases.csv'}"
        )
    return [report.parent for report in finished.reports]


def _check_free(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out must be a folder, got {out}; name another")
