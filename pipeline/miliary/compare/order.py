"""Which scan came first, and whether they are of one patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from miliary.compare.records import CaseRecord
from miliary.errors import UsageError

#: Shifted days wrap round here: see `miliary.io.identity`.
_WRAP = 1_000_000


def days_since_first(cases: Sequence[CaseRecord]) -> tuple[int | None, ...]:
    """Tell how many days after the first each scan was made.

    Parameters
    ----------
    cases : sequence of CaseRecord
        Scans of one patient.

    Returns
    -------
    tuple of int or None
        Negative for scans before the first named; None for all where one day is unknown, or the
        patients' marks differ: their days are then not comparable.
    """
    days = [case.day for case in cases if case.day is not None]
    if len(days) < len(cases) or len({case.patient for case in cases}) > 1:
        return (None,) * len(cases)
    half = _WRAP // 2
    return tuple((day - days[0] + half) % _WRAP - half for day in days)


def in_order(
    cases: Sequence[CaseRecord], days: Sequence[int] = ()
) -> tuple[tuple[CaseRecord, ...], tuple[int, ...], str]:
    """Put scans in the order in which they were made.

    Parameters
    ----------
    cases : sequence of CaseRecord
        Scans of one patient.
    days : sequence of int
        Day of each as the user knows it; those of the scans where it is empty.

    Returns
    -------
    cases : tuple of CaseRecord
        Oldest first; as given where days are not known.
    rank : tuple of int
        Which of the scans given each of them is.
    note : str
        What a reader should know of the order; empty where it was given right.

    Raises
    ------
    UsageError
        Where not every scan has a day, or two have the same.
    """
    if days:
        if len(days) != len(cases):
            raise UsageError(
                f"--days must be as many as scans, got {len(days)} for {len(cases)}; separate them "
                "by commas, in the order of the scans"
            )
        cases = [replace(case, day=day, patient="") for case, day in zip(cases, days, strict=True)]
    known = days_since_first(cases)
    if any(day is None for day in known):
        return (
            tuple(cases),
            tuple(range(len(cases))),
            "The days of the scans are not known: they stand in the order given.",
        )
    rank = tuple(sorted(range(len(cases)), key=lambda k: known[k] or 0))
    ordered = tuple(cases[k] for k in rank)
    if rank == tuple(range(len(cases))):
        return ordered, rank, ""
    told = ", ".join(case.name for case in ordered)
    return ordered, rank, f"The scans were not given in the order of their days; it is {told}."


def check_one_patient(cases: Sequence[CaseRecord], *, force: bool) -> str:
    """Refuse scans of different patients.

    Parameters
    ----------
    cases : sequence of CaseRecord
        Scans.
    force : bool
        Whether to go on all the same.

    Returns
    -------
    str
        A sentence to warn with; empty where nothing speaks against one patient.

    Raises
    ------
    UsageError
        Where the marks of two patients differ, unless forced.
    """
    marks = {case.patient for case in cases if case.patient}
    if len(marks) < 2:
        unknown = [case.name for case in cases if not case.patient]
        if not unknown:
            return ""
        return (
            f"Nothing tells whether {', '.join(unknown)} and the others are of one patient: "
            "their headers are not known."
        )
    if not force:
        raise UsageError(
            f"scans to compare must be of one patient, got {len(marks)} different ones; name "
            "others, or use --force where one patient has several ids"
        )
    return f"The headers name {len(marks)} different patients; compared because of --force."
