"""One case: read, analyse, write, and one row of `cases.csv` whatever happens."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from miliary.analyze import analyze
from miliary.case_folder import write_case
from miliary.cohort.inputs import input_stamp, read_manifest
from miliary.cohort.resume import keep_case, read_row
from miliary.cohort.rows import Outcome, Task, describe_error, failed_row, trace_of
from miliary.errors import MiliaryError
from miliary.io.reading import read_series

#: Told the step that begins and the share of the case that is done.
Tell = Callable[[tuple[str, float]], None]


def run_case(task: Task, tell: Tell) -> Outcome:
    """Do one case; nothing that goes wrong in it gets out.

    Parameters
    ----------
    task : Task
        What to do.
    tell : callable
        Called with the step that begins and the share done.

    Returns
    -------
    Outcome
        With the row; the folder is written, or there is none.
    """
    started = time.perf_counter()
    try:
        outcome = keep_case(task, thorough=True) or _analysed(task, tell)
    except MiliaryError as error:
        outcome = Outcome(failed_row(task.info, error.code, str(error)))
    except MemoryError as error:
        message = (
            "the case needs more memory than it may take; use fewer --jobs, or raise run.memory_mb"
        )
        outcome = Outcome(failed_row(task.info, "E_MEMORY", message), trace=trace_of(error))
    except Exception as error:  # noqa: BLE001 - a fault of ours in one case must not end the others
        row = failed_row(task.info, "E_INTERNAL", describe_error(error))
        outcome = Outcome(row, trace=trace_of(error))
    seconds = None if outcome.kept else time.perf_counter() - started
    return replace(outcome, row=outcome.row | {"seconds": seconds})


def _analysed(task: Task, tell: Tell) -> Outcome:
    started = time.perf_counter()
    tell(("read", 0.0))
    # Before the pixels are read: what changes meanwhile must not pass for what was analysed.
    stamp = input_stamp(task)
    volume = read_series(task.info, task.config.read)
    read_s = time.perf_counter() - started
    analysis = analyze(
        volume, task.config, seed=task.seed, progress=lambda step, share: tell((step, share))
    )
    tell(("write", 1.0))
    manifest = read_manifest(task)
    facts = {
        "input_hash": manifest.hash,
        "input_stamp": stamp,
        "input_files": manifest.files,
        "input_bytes": manifest.n_bytes,
        "dicom": task.wants_dicom,
        "series": {"chosen": _told(task), "rejected": [rival.told() for rival in task.rivals]},
        "seconds": {"read": read_s, **dict(analysis.seconds)},
    }
    write_case(analysis, task.folder, series=task.info, dicom=task.wants_dicom, provenance=facts)
    return Outcome(read_row(task))


def _told(task: Task) -> dict[str, str]:
    info = task.info
    return {"case": info.case, "source": info.source, "code": info.code, "reason": info.reason}
