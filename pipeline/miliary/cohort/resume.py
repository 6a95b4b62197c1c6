"""What an earlier run has done already, or failed at, and what is left."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from miliary.cohort.inputs import run_key, still_good
from miliary.cohort.rows import Outcome, Task, done_row
from miliary.io.case_places import SUMMARY, read_provenance


def keep_case(task: Task, *, thorough: bool) -> Outcome | None:
    """Give the row of a whole result of the same input, configuration, version and seed.

    Parameters
    ----------
    task : Task
        What to do.
    thorough : bool
        Whether to read the files of the input where their times have changed.

    Returns
    -------
    Outcome or None
        None where there is no result, or none that may be kept.
    """
    if not task.resume or not still_good(task, read_provenance(task.folder), thorough=thorough):
        return None
    return Outcome(read_row(task), kept=True)


def read_row(task: Task) -> dict[str, Any]:
    """Make the row of a case from its folder, so that fresh and kept cases give the same.

    Parameters
    ----------
    task : Task
        Its folder is whole.

    Returns
    -------
    dict
        As `done_row`.
    """
    return done_row(task.info, json.loads((task.folder / SUMMARY).read_text("utf-8")))


def split_tasks(
    tasks: Sequence[Task], earlier: Mapping[str, Mapping[str, str]], *, retry_failed: bool
) -> tuple[list[Outcome], list[Task]]:
    """Find what need not be done again, as far as that can be told without reading scans.

    Parameters
    ----------
    tasks : sequence of Task
        All of them.
    earlier : mapping of str to mapping
        Rows of earlier runs by case.
    retry_failed : bool
        Whether to try again what failed.

    Returns
    -------
    list of Outcome
        Cases that are whole, and cases that would fail again.
    list of Task
        The others, in their order.
    """
    known: list[Outcome] = []
    left: list[Task] = []
    for task in tasks:
        outcome = keep_case(task, thorough=False)
        if outcome is None and task.resume and not retry_failed:
            outcome = _failed_before(task, earlier.get(task.info.case, {}))
        if outcome is None:
            left.append(task)
        else:
            known.append(outcome)
    return known, left


def _failed_before(task: Task, row: Mapping[str, str]) -> Outcome | None:
    """Give the row of a case that failed with all that it depends on the same."""
    if row.get("status") != "failed" or row.get("run_key") != run_key(task):
        return None
    return Outcome(dict(row), kept=True)
