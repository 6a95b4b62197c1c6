"""What a run knows of a case: what to do, what became of it, and its row of `cases.csv`."""

from __future__ import annotations

import re
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from miliary.config import Config
    from miliary.io.series import SeriesInfo

#: The columns of `cases.csv`, in their order. The contract fixes all but the last two: most memory
#: that the case took, and what `--resume` knows a failure by.
CASE_COLUMNS = (
    "case",
    "source",
    "status",
    "code",
    "message",
    "miliary",
    "pattern",
    "nodules",
    "density_per_l",
    "diameter_median_mm",
    "diameter_cv",
    "seconds",
    "peak_mb",
    "run_key",
)

#: What a message of an unforeseen error may give away: paths, and the text that is quoted in it.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_PATH = re.compile(r"\S*[/\\]\S*")
_MAX_MESSAGE = 200


@dataclass(frozen=True)
class Rival:
    """A series that was not chosen.

    Parameters
    ----------
    case, source, code, reason : str
        As in `series.csv`.
    """

    case: str
    source: str
    code: str
    reason: str

    def told(self) -> dict[str, str]:
        """Give it as plain data.

        Returns
        -------
        dict
            The fields by name.
        """
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Task:
    """What a worker needs to know of a case.

    Parameters
    ----------
    info : SeriesInfo
        The series to read.
    out : Path
        The output folder, absolute: a worker may have another working directory.
    config : Config
        Every setting.
    seed : int
        Of all randomness.
    dicom : bool
        Whether DICOM results are wanted.
    resume : bool
        Whether a whole case folder made with all this is kept.
    rivals : tuple of Rival
        The other series of the study.
    """

    info: SeriesInfo
    out: Path
    config: Config
    seed: int = 0
    dicom: bool = False
    resume: bool = False
    rivals: tuple[Rival, ...] = ()

    @property
    def folder(self) -> Path:
        """The case folder."""
        return self.out / self.info.case

    @property
    def wants_dicom(self) -> bool:
        """Whether DICOM results are wanted and can be: of slices as they were scanned."""
        return self.dicom and self.info.kind == "dicom" and not self.info.resampled


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Parameters
    ----------
    row : dict
        Its row of `cases.csv`.
    kept : bool
        Whether the result was there already.
    trace : str
        Traceback of an error that nobody foresaw, for the log.
    """

    row: dict[str, Any]
    kept: bool = False
    trace: str = ""


def failed_row(info: SeriesInfo, code: str, message: str) -> dict[str, Any]:
    """Make the row of a case that failed.

    Parameters
    ----------
    info : SeriesInfo
        The series.
    code : str
        Why.
    message : str
        The same as a sentence.

    Returns
    -------
    dict
        `CASE_COLUMNS`; what is not known is None.
    """
    known = {"case": info.case, "source": info.source, "status": "failed"}
    return dict.fromkeys(CASE_COLUMNS) | known | {"code": code, "message": message}


def done_row(info: SeriesInfo, summary: dict[str, Any]) -> dict[str, Any]:
    """Make the row of a case that was analysed.

    Parameters
    ----------
    info : SeriesInfo
        The series.
    summary : dict
        Content of its `summary.json`.

    Returns
    -------
    dict
        `CASE_COLUMNS`; `seconds` is not known yet.
    """
    lungs = summary["lungs"]
    litres = sum((lung or {}).get("evaluable_ml") or 0.0 for lung in lungs.values()) / 1000
    found = summary["detection"]["found"]
    code, message = _limits(summary)
    status = "degraded" if code or info.resampled else "ok"
    if info.code != "OK":
        told = " ".join(info.notes)
        code, message = code or info.code, f"{message} {told}".strip()
    return {
        "case": info.case,
        "source": info.source,
        "status": status,
        "code": code,
        "message": message,
        "miliary": summary["miliary"]["flag"],
        "pattern": summary["pattern"]["label"],
        "nodules": found,
        "density_per_l": found / litres if litres else None,
        "diameter_median_mm": summary["size"]["median_mm"],
        "diameter_cv": summary["size"]["cv"],
        "seconds": None,
    }


def describe_error(error: BaseException) -> str:
    """Tell of an error that nobody foresaw, without paths and without what is quoted in it.

    Parameters
    ----------
    error : BaseException
        Any.

    Returns
    -------
    str
        A sentence: type, message, and where in the package it arose.
    """
    text = _PATH.sub("…", _QUOTED.sub("…", " ".join(str(error).split())))[:_MAX_MESSAGE]
    frames = traceback.extract_tb(error.__traceback__)
    ours = [
        f"{Path(frame.filename).name}:{frame.lineno}"
        for frame in frames
        if "miliary" in Path(frame.filename).parts
    ]
    where = f" at {ours[-1]}" if ours else ""
    return (
        f"{type(error).__name__}{where}: {text}; this is a fault of the program, please report it"
    )


def trace_of(error: BaseException) -> str:
    """Give the traceback for the log.

    Parameters
    ----------
    error : BaseException
        Any.

    Returns
    -------
    str
        Lines; the message in them, which may name the patient, cleaned.
    """
    lines = traceback.format_tb(error.__traceback__)
    return "".join(["Traceback (most recent call last):\n", *lines, describe_error(error)])


def _limits(summary: dict[str, Any]) -> tuple[str, str]:
    """Name what is not assessable in a case that ran; empty where all is."""
    missing = [
        side
        for side in ("right", "left")
        if not (summary["lungs"].get(side) or {}).get("evaluable_ml")
    ]
    sentences = [f"The {side} lung is not assessable{_why(summary, side)}." for side in missing]
    if summary["miliary"]["flag"] == "not_assessable":
        reasons = [
            item["sentence"]
            for item in summary["miliary"]["criteria"]
            if item["name"] == "assessable"
        ]
        sentences.append(" ".join(["The miliary pattern is not assessable.", *reasons[:1]]))
        return "W_NOT_ASSESSABLE", " ".join(sentences)
    return ("W_LUNG_EXCLUDED", " ".join(sentences)) if missing else ("", "")


def _why(summary: dict[str, Any], side: str) -> str:
    lung = summary["lungs"].get(side)
    if not lung:
        return ": it was not found"
    reasons = [item["reason"] for item in lung.get("excluded") or ()]
    return f": {', '.join(reasons)}" if reasons else ""
