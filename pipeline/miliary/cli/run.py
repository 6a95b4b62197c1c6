"""Analyse every chest CT under the inputs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from miliary.cli.batch import run_cases
from miliary.cli.case import Outcome, Task, describe_error, failed_row, run_case
from miliary.cli.common import (
    add_config_options,
    add_reading_options,
    check_inputs,
    data_only_on_stdout,
    load_options,
    output_folder,
    say,
)
from miliary.errors import (
    EXIT_ALL_FAILED,
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_SOME_FAILED,
    InputError,
    UsageError,
)

if TYPE_CHECKING:
    from miliary.cli.progress import Progress
    from miliary.config import Config
    from miliary.io.series import SeriesInfo


@dataclass(frozen=True)
class Options:
    """How to run.

    Parameters
    ----------
    jobs : int
        Processes.
    scheduler : str or None
        An existing Dask cluster.
    all_series, dicom, resume : bool
        As the options of the same names.
    seed : int
        Of all randomness.
    """

    jobs: int = 1
    scheduler: str | None = None
    all_series: bool = False
    dicom: bool = False
    resume: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Finished:
    """How a run ended.

    Parameters
    ----------
    status : int
        Exit status.
    reports : tuple of Path
        Report of each case that is done.
    index : Path
        Page of the cohort.
    """

    status: int
    reports: tuple[Path, ...]
    index: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `miliary run`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the command.
    """
    add_reading_options(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the results")
    add_config_options(parser)
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="cases side by side (%(default)s)"
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="a running Dask scheduler, or its scheduler file"
    )
    parser.add_argument(
        "--all-series", action="store_true", help="every usable series, not the best of each study"
    )
    parser.add_argument("--dicom", action="store_true", help="write DICOM SEG and SR as well")
    parser.add_argument(
        "--resume", action="store_true", help="keep results of the same input and configuration"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of all randomness (%(default)s)"
    )


def execute(args: argparse.Namespace) -> int:
    """Run `miliary run`.

    Parameters
    ----------
    args : argparse.Namespace
        As parsed.

    Returns
    -------
    int
        Exit status.
    """
    for name, value, least in (("--jobs", args.jobs, 1), ("--seed", args.seed, 0)):
        if value < least:
            raise UsageError(f"{name} must be at least {least}, got {value}")
    config = load_options(args)
    check_inputs(args.inputs)
    options = Options(
        args.jobs, args.scheduler, args.all_series, args.dicom, args.resume, args.seed
    )
    finished = run_inputs(args.inputs, args.out, config, options)
    # A single case is best looked at itself.
    alone = finished.reports if len(finished.reports) == 1 else ()
    for path in (*alone, finished.index):
        if path.is_file():
            print(path)
    return finished.status


def run_inputs(inputs: Sequence[Path], out: Path, config: Config, options: Options) -> Finished:
    """Analyse every chest CT under the inputs.

    Parameters
    ----------
    inputs : sequence of Path
        They exist.
    out : Path
        The output folder.
    config : Config
        Every setting.
    options : Options
        How to run.

    Returns
    -------
    Finished
        With the exit status of the contract.

    Raises
    ------
    InputError
        Where there is no CT to analyse at all; nothing is written then.
    """
    _keep_blas_single()
    with data_only_on_stdout():
        from miliary.io.series import find_inputs

        infos = _without_results(find_inputs(list(inputs), config.read))
        infos, wanted, refused = plan(infos, all_series=options.all_series)
        if not wanted and not refused:
            raise InputError(
                f"the input must hold a CT of the chest, got {len(infos)} series that are none: "
                f"{infos[0].reason or infos[0].code} See `miliary series`"
            )
        if options.dicom:
            _warn_of_dicom(wanted)
        tasks = [
            Task(info, out.absolute(), config, options.seed, options.dicom, options.resume)
            for info in wanted
        ]
        with output_folder(out):
            return _run(out, infos, tasks, refused, options)


def plan(
    infos: Sequence[SeriesInfo], *, all_series: bool
) -> tuple[list[SeriesInfo], list[SeriesInfo], list[SeriesInfo]]:
    """Decide which series become cases.

    Parameters
    ----------
    infos : sequence of SeriesInfo
        All that were found.
    all_series : bool
        Whether every usable one is wanted.

    Returns
    -------
    list of SeriesInfo, three times
        All of them, those to analyse, and the refused ones that a row of `cases.csv` must tell
        of: what the study holds instead of a usable series. A case comes once.
    """
    infos = [
        replace(info, chosen=True, reason=f"{info.reason} Analysed for --all-series.")
        if all_series and info.usable and not info.chosen
        else info
        for info in infos
    ]
    wanted = list({info.case: info for info in reversed(infos) if info.chosen}.values())[::-1]
    served = {info.study_key for info in wanted}
    largest: dict[str, SeriesInfo] = {}
    for info in infos:
        if info.code.startswith("E_") and info.study_key not in served:
            # Of several refused series the largest is what the user meant.
            rival = largest.get(info.study_key)
            if rival is None or info.n_slices > rival.n_slices:
                largest[info.study_key] = info
    refused = [info for info in largest.values() if info.case not in {w.case for w in wanted}]
    return infos, wanted, refused


def _run(
    out: Path,
    infos: list[SeriesInfo],
    tasks: list[Task],
    refused: list[SeriesInfo],
    options: Options,
) -> Finished:
    from miliary.cli.cohort import CaseTable, write_tables
    from miliary.cli.progress import Progress

    table = CaseTable(out, list(dict.fromkeys(info.case for info in infos)))
    n_cases = len(tasks) + len(refused)
    with Progress(n_cases) as progress:

        def done(outcome: Outcome) -> None:
            table.add(outcome.row)
            progress.done(outcome.row, kept=outcome.kept, trace=outcome.trace)

        for info in refused:
            done(Outcome(failed_row(info, info.code, info.reason)))
        interrupted = _run_tasks(tasks, options, progress, done)
    reports = tuple(out / row["case"] / "report.html" for row in table.mine() if _is_done(row))
    n_done = len(table.mine())
    if n_done:
        write_tables(out, table, infos)
    if interrupted:
        say(
            f"interrupted after {n_done} of {n_cases} cases; what is done is whole, go on with the "
            "same command and --resume"
        )
        return Finished(EXIT_INTERRUPTED, reports, out / "index.html")
    n_failed = n_done - len(reports)
    say(f"{len(reports)} of {n_cases} cases done, {n_failed} failed")
    status = EXIT_DONE if not n_failed else EXIT_SOME_FAILED if reports else EXIT_ALL_FAILED
    return Finished(status, reports, out / "index.html")


def _run_tasks(
    tasks: list[Task], options: Options, progress: Progress, done: Callable[[Outcome], None]
) -> bool:
    """Do the tasks; tell whether the user has put an end to it."""
    from miliary.case_folder import remove_leftovers

    def arrived(task: Task, outcome: Outcome | Exception) -> None:
        if isinstance(outcome, Exception):
            outcome = Outcome(_lost_row(task, outcome))
        done(outcome)

    alone = options.scheduler is None and min(options.jobs, len(tasks)) <= 1
    worker = partial(run_case, progress=progress.step) if alone else run_case
    try:
        run_cases(tasks, worker, jobs=options.jobs, scheduler=options.scheduler, on_done=arrived)
    except KeyboardInterrupt:
        return True
    finally:
        # A worker that was killed could not clean up.
        for task in tasks:
            remove_leftovers(task.folder)
    return False


def _is_done(row: dict[str, Any]) -> bool:
    return bool(row["status"] != "failed")


def _lost_row(task: Task, error: Exception) -> dict[str, Any]:
    """Make the row of a case whose worker died, or which could not be sent to one."""
    if type(error).__name__ == "KilledWorker":
        message = (
            "the worker process died with this case, twice; most often for want of memory: use "
            "fewer --jobs"
        )
        return failed_row(task.info, "E_WORKER", message)
    return failed_row(task.info, "E_INTERNAL", describe_error(error))


def _warn_of_dicom(wanted: Sequence[SeriesInfo]) -> None:
    """Say which cases can have no DICOM results: those must refer to slices as scanned."""
    for what, n in (
        ("volume file(s)", sum(info.kind != "dicom" for info in wanted)),
        ("resampled series", sum(info.resampled for info in wanted)),
    ):
        if n:
            say(f"--dicom needs a DICOM input, got {n} {what}: no .dcm for them", kind="warning")


def _without_results(infos: Sequence[SeriesInfo]) -> list[SeriesInfo]:
    """Leave out the label images in case folders of earlier runs: they are not scans."""
    from miliary.case_folder import is_case_folder

    folders = {
        source.path.parent for info in infos if info.kind == "volume" for source in info.files
    }
    ours = {folder for folder in folders if is_case_folder(folder)}
    left = [info for info in infos if not ({source.path.parent for source in info.files} & ours)]
    if not left:
        raise InputError(
            "the input must hold a CT, got results of miliary only; name the folder of the images"
        )
    return left


def _keep_blas_single() -> None:
    """Let matrix products use one thread, here as in workers: sums must not depend on it."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
