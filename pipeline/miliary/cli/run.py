"""Analyse every chest CT under the inputs."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from miliary.cli.common import (
    add_config_options,
    add_reading_options,
    check_inputs,
    data_only_on_stdout,
    load_options,
    output_folder,
    say,
)
from miliary.errors import EXIT_INTERRUPTED, InputError, UsageError, exit_status

if TYPE_CHECKING:
    from miliary.config import Config
    from miliary.io.series import SeriesInfo


@dataclass(frozen=True)
class Options:
    """How to run.

    Parameters
    ----------
    jobs : int or None
        Cases side by side; as many as cores and memory bear unless given.
    scheduler : str or None
        An existing Dask cluster.
    shard : str
        Which part of the cases, as `i/n`.
    all_series, dicom, resume, retry_failed, parquet : bool
        As the options of the same names.
    seed : int
        Of all randomness.
    """

    jobs: int | None = None
    scheduler: str | None = None
    shard: str = "1/1"
    all_series: bool = False
    dicom: bool = False
    resume: bool = False
    retry_failed: bool = False
    parquet: bool = False
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
        "--jobs", type=int, metavar="N", help="cases side by side (what cores and memory bear)"
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS|FILE",
        help="a running Dask scheduler, or its scheduler file",
    )
    parser.add_argument(
        "--shard",
        default="1/1",
        metavar="i/n",
        help="the i-th of n parts, for array jobs; `miliary merge DIR` joins them",
    )
    for name, text in (
        ("--all-series", "every usable series, not the best of each study"),
        ("--dicom", "write DICOM SEG and SR as well"),
        ("--viewer", "write viewer.html as well: the scan in three planes; holds its images"),
        ("--resume", "keep results, and failures, of the same input and configuration"),
        ("--retry-failed", "as --resume, but try again what failed"),
        ("--parquet", "write cases.parquet as well; needs pyarrow"),
    ):
        parser.add_argument(name, action="store_true", help=text)
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
        if value is not None and value < least:
            raise UsageError(f"{name} must be at least {least}, got {value}")
    config = load_options(args)
    check_inputs(args.inputs)
    options = Options(
        jobs=args.jobs,
        scheduler=args.scheduler,
        shard=args.shard,
        all_series=args.all_series,
        dicom=args.dicom,
        resume=args.resume or args.retry_failed,
        retry_failed=args.retry_failed,
        parquet=args.parquet,
        seed=args.seed,
    )
    with _stoppable():
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
    from miliary.cohort.lean import lean_imports

    _keep_blas_single()
    if options.scheduler is None and options.jobs in (None, 1) and not options.resume:
        from miliary.cohort.ahead import await_case

        await_case()
    with data_only_on_stdout():
        with lean_imports():
            from miliary.cli.cohort import Cohort, run_cohort
            from miliary.cohort.shards import Shard
            from miliary.io.series import find_inputs
        shard = Shard.parse(options.shard)
        if options.parquet:
            from miliary.cohort.pages import check_parquet

            check_parquet()
        infos = _without_results(find_inputs(list(inputs), config.read))
        infos, wanted, refused = plan(infos, all_series=options.all_series)
        if not wanted and not refused:
            raise InputError(
                f"the input must hold a CT of the chest, got {len(infos)} series that are none: "
                f"{infos[0].reason or infos[0].code} See `miliary series`"
            )
        infos, wanted, refused = (
            [info for info in some if shard.holds(info)] for some in (infos, wanted, refused)
        )
        if options.dicom:
            _warn_of_dicom(wanted)
        cohort = Cohort(out, config, options, shard, infos, wanted, refused)
        with output_folder(out), _alone(out / shard.name(".lock")):
            n_done, n_planned, reports, interrupted = run_cohort(cohort)
    if interrupted:
        say(
            f"interrupted after {n_done} of {n_planned} cases; what is done is whole, go on with "
            "the same command and --resume"
        )
        return Finished(EXIT_INTERRUPTED, reports, out / "index.html")
    n_failed = n_done - len(reports)
    say(f"{len(reports)} of {n_planned} cases done, {n_failed} failed")
    return Finished(exit_status(len(reports), n_failed), reports, out / "index.html")


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
        of: what the study holds instead of a usable series. A case comes once. Parts of a cohort
        are cut afterwards, so that each part chooses alike.
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
    cases = {info.case for info in wanted}
    refused = [info for info in largest.values() if info.case not in cases]
    return infos, wanted, refused


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
    from miliary.io.case_places import is_case_folder

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


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let what ends a batch job (SIGTERM), or closes a terminal, stop as Ctrl-C does."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    kept: dict[int, Any] = {}
    # Only the main thread may; a run within another program's thread does without.
    with contextlib.suppress(ValueError):
        for name in (signal.SIGTERM, signal.SIGHUP):
            kept[name] = signal.signal(name, stop)
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep a second run out of the folder; a lock goes with the process that holds it."""
    import fcntl

    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"the output folder must belong to one run at a time, got {path.parent}, which "
                "another run is writing to; wait for it, or name another --out"
            ) from error
        except OSError:
            # A file system without locks.
            pass
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
