"""One case of `miliary run`: read, analyse, write, and one row of `cases.csv` whatever happens."""

from __future__ import annotations

import hashlib
import json
import re
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from miliary.errors import MiliaryError

if TYPE_CHECKING:
    from miliary.config import Config
    from miliary.io.series import SeriesInfo

#: The columns of `cases.csv`, in their order. The contract fixes them.
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
)

Progress = Callable[[str, str, float], None]

#: What a message of an unforeseen error may give away: paths, and the text that is quoted in it.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_PATH = re.compile(r"\S*[/\\]\S*")
_MAX_MESSAGE = 200


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
    """

    info: SeriesInfo
    out: Path
    config: Config
    seed: int
    dicom: bool
    resume: bool

    @property
    def folder(self) -> Path:
        """The case folder."""
        return self.out / self.info.case


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


def run_case(task: Task, progress: Progress | None = None) -> Outcome:
    """Do one case; nothing that goes wrong in it gets out.

    Parameters
    ----------
    task : Task
        What to do.
    progress : callable or None
        Called with the case, the step that begins and the share done.

    Returns
    -------
    Outcome
        With the row; the folder is written, or there is none.
    """
    started = time.perf_counter()
    try:
        outcome = _kept(task) or _analysed(task, progress)
    except MiliaryError as error:
        outcome = Outcome(failed_row(task.info, error.code, str(error)))
    except MemoryError as error:
        message = "the case needs more memory than there is; use fewer --jobs"
        outcome = Outcome(failed_row(task.info, "E_MEMORY", message), trace=_trace(error))
    except Exception as error:  # noqa: BLE001 - a fault of ours in one case must not end the others
        row = failed_row(task.info, "E_INTERNAL", describe_error(error))
        outcome = Outcome(row, trace=_trace(error))
    outcome.row["seconds"] = None if outcome.kept else time.perf_counter() - started
    return outcome


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


def _trace(error: BaseException) -> str:
    """Give the traceback for the log; the message in it, which may name the patient, cleaned."""
    lines = traceback.format_tb(error.__traceback__)
    return "".join(["Traceback (most recent call last):\n", *lines, describe_error(error)])


def input_hash(task: Task) -> str:
    """Hash the files of a series, in the order of its slices.

    Parameters
    ----------
    task : Task
        With the series and the caps to read it by.

    Returns
    -------
    str
        The same for the same bytes, wherever they lie and whatever their names.
    """
    from miliary.io.sources import Archive

    digest = hashlib.blake2b(digest_size=16)
    with Archive(task.config.read) as archive:
        for source in task.info.files:
            with archive.open(source) as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def _analysed(task: Task, progress: Progress | None) -> Outcome:
    from miliary.analyze import analyze
    from miliary.case_folder import write_case
    from miliary.io.reading import read_series

    def tell(step: str, share: float) -> None:
        if progress is not None:
            progress(task.info.case, step, share)

    tell("read", 0.0)
    volume = read_series(task.info, task.config.read)
    analysis = analyze(volume, task.config, seed=task.seed, progress=tell)
    tell("write", 1.0)
    dicom = _wants_dicom(task)
    facts = {"input_hash": input_hash(task), "dicom": dicom}
    write_case(analysis, task.folder, series=task.info, dicom=dicom, provenance=facts)
    return Outcome(done_row(task.info, _summary(task)))


def _wants_dicom(task: Task) -> bool:
    """Tell whether DICOM results are wanted and can be: of slices as they were scanned."""
    return task.dicom and task.info.kind == "dicom" and not task.info.resampled


def _kept(task: Task) -> Outcome | None:
    """Give the row of a whole result of the same input, configuration, version and seed."""
    if not task.resume:
        return None
    import miliary
    from miliary.case_folder import read_provenance
    from miliary.config import config_hash

    facts = read_provenance(task.folder)
    wanted = {
        "version": miliary.__version__,
        "config_hash": config_hash(task.config),
        "seed": task.seed,
    }
    if any(facts.get(name) != value for name, value in wanted.items()):
        return None
    if _wants_dicom(task) and not facts.get("dicom"):
        return None
    # Reads every file: only when all else agrees.
    if facts.get("input_hash") != input_hash(task):
        return None
    return Outcome(done_row(task.info, _summary(task)), kept=True)


def _summary(task: Task) -> dict[str, Any]:
    """Read the summary back, so that fresh and kept cases give the same row."""
    from miliary.case_folder import SUMMARY

    summary: dict[str, Any] = json.loads((task.folder / SUMMARY).read_text("utf-8"))
    return summary


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
