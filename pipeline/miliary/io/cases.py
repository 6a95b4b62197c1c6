"""Case folders read back, as far as a comparison of scans needs them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from miliary.analysis import SUMMARY_SCHEMA, Analysis
from miliary.anatomy import SIDES
from miliary.arrays import AnyArray
from miliary.compare import CaseRecord, LungRecord, RindRecord
from miliary.config import config_hash
from miliary.errors import CaseFolderError
from miliary.findings import Sensitivity
from miliary.io.case_places import RIND_COLUMNS
from miliary.io.tables import numbers, read_csv

_NUMBERS = ("diameter_mm", "score", "x_mm", "y_mm", "z_mm")
_COLUMNS = (*_NUMBERS, "lung", "zone")


def read_case(folder: str | Path) -> CaseRecord:
    """Read a case folder of `miliary run`.

    Parameters
    ----------
    folder : path
        With `summary.json`, `nodules.csv` and `provenance.json`.

    Returns
    -------
    CaseRecord
        What a comparison needs of it.

    Raises
    ------
    CaseFolderError
        Where it is no case folder of miliary, one of another layout, or damaged.
    """
    folder = Path(folder)
    provenance = _read_json(folder, "provenance.json")
    if provenance.get("tool") != "miliary":
        raise CaseFolderError(
            f"a case must be a folder that `miliary run` wrote, got {folder}, which has no "
            "provenance.json of miliary; name the folder that holds summary.json"
        )
    summary = _read_json(folder, "summary.json")
    schema = summary.get("schema")
    # Only the first number changes when a key is renamed.
    if str(schema).partition(".")[0] != SUMMARY_SCHEMA.partition(".")[0]:
        raise CaseFolderError(
            f"summary.json must be of the layout {SUMMARY_SCHEMA}, got {schema!r} in {folder}; "
            "analyse the scan again with this version"
        )
    try:
        table = read_csv(folder / "nodules.csv")
        nodules = {
            name: numbers(table[name]) if name in _NUMBERS else table[name] for name in _COLUMNS
        }
        made_by = f"{provenance.get('version')} {provenance.get('config_hash')}"
        record = make_record(
            summary, nodules, settings_hash=made_by, facts=provenance.get("input") or {}
        )
        return _with_rinds(record, _read_rinds(folder / "rinds.csv"))
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise CaseFolderError(
            f"a case folder must be whole, got {folder}: {type(error).__name__} {error}; "
            "analyse the scan again"
        ) from error


def record_of(analysis: Analysis) -> CaseRecord:
    """Take from an analysis what a comparison needs.

    Parameters
    ----------
    analysis : Analysis
        Of one scan.

    Returns
    -------
    CaseRecord
        The same that `read_case` makes of its folder, but for rounding.
    """
    import miliary

    made_by = f"{miliary.__version__} {config_hash(analysis.config)}"
    record = make_record(
        analysis.to_dict(),
        analysis.nodules.columns(),
        settings_hash=made_by,
        facts=dict(analysis.volume.provenance),
    )
    rinds = {
        rind.side: RindRecord(rind.points_mm, rind.thickness_mm) for rind in analysis.anatomy.rinds
    }
    return _with_rinds(record, rinds)


def make_record(
    summary: Mapping[str, Any],
    nodules: Mapping[str, Any],
    *,
    settings_hash: str = "",
    facts: Mapping[str, str] | None = None,
) -> CaseRecord:
    """Make the record of a scan from its summary and its nodules.

    Parameters
    ----------
    summary : mapping
        Content of `summary.json`.
    nodules : mapping of str to (N,) array
        Columns of `nodules.csv`; those below the operating point are left out.
    settings_hash : str
        Tells how it was analysed.
    facts : mapping or None
        What `provenance.json` says of the input: the patient's mark and the shifted day.

    Returns
    -------
    CaseRecord
        With None for what the summary leaves open.

    Raises
    ------
    KeyError, TypeError, ValueError
        Where the summary is not laid out as this version has it.
    """
    accepted = np.asarray(nodules["score"], float) >= summary["detection"]["operating_point"]
    table = {name: np.asarray(nodules[name])[accepted] for name in _COLUMNS}
    lungs = tuple(
        _lung(side, summary["lungs"][side], summary, table)
        for side in SIDES
        if summary["lungs"].get(side)
    )
    scan, detection, miliary_ = summary["acquisition"], summary["detection"], summary["miliary"]
    spacing = scan.get("spacing_mm")
    limits = {item["name"]: item.get("limit") for item in miliary_.get("criteria", [])}
    rows = [Sensitivity(**row) for row in detection["sensitivity"] if row["region"] == "all"]
    return CaseRecord(
        name=str(summary["case"]),
        lungs=lungs,
        sensitivity=tuple(sorted(rows, key=lambda row: row.diameter_mm)),
        median_mm=summary["size"]["median_mm"],
        pattern=summary["pattern"]["label"],
        flag=miliary_["flag"],
        extent=miliary_.get("extent"),
        numerous_per_l=limits.get("numerous"),
        spacing_mm=None if spacing is None else (spacing[0], spacing[1], spacing[2]),
        slice_thickness_mm=scan.get("slice_thickness_mm"),
        noise_hu=scan.get("noise_hu"),
        kernel=scan.get("kernel"),
        settings_hash=settings_hash,
        exposure_mas=scan.get("exposure_mas"),
        patient=str((facts or {}).get("patient_mark") or ""),
        day=_whole((facts or {}).get("shifted_day")),
        size_sd_mm=tuple(
            (row["diameter_mm"], row["value"]) for row in detection.get("size_sd_mm") or []
        ),
        injected=int(detection.get("injected") or 0),
    )


def _lung(
    side: str, lung: Mapping[str, Any], summary: Mapping[str, Any], table: Mapping[str, AnyArray]
) -> LungRecord:
    inside = table["lung"] == side
    return LungRecord(
        side,
        float(lung["volume_ml"]),
        float(lung["evaluable_ml"]),
        np.asarray(table["diameter_mm"][inside], float),
        table["zone"][inside],
        _zones(side, lung, summary),
        points_mm=np.column_stack([table[name][inside] for name in ("x_mm", "y_mm", "z_mm")]),
        excluded=tuple((part["reason"], float(part["ml"])) for part in lung.get("excluded") or []),
        hemithorax_ml=lung.get("hemithorax_ml"),
        septa_cm2_per_ml=lung.get("septa_cm2_per_ml"),
    )


def _zones(
    side: str, lung: Mapping[str, Any], summary: Mapping[str, Any]
) -> tuple[tuple[str, float], ...]:
    """Evaluable volume by zone; in older folders only that of zones with nodules can be had."""
    if "zones" in lung:
        return tuple((item["zone"], float(item["evaluable_ml"])) for item in lung["zones"])
    return tuple(
        (item["zone"], 1000 * item["n"] / item["per_l"])
        for item in (summary.get("involvement") or {}).get("zones", [])
        if item["lung"] == side and item["per_l"]
    )


def _with_rinds(record: CaseRecord, rinds: Mapping[str, RindRecord]) -> CaseRecord:
    lungs = tuple(replace(lung, rind=rinds.get(lung.side)) for lung in record.lungs)
    return replace(record, lungs=lungs)


def _read_rinds(path: Path) -> dict[str, RindRecord]:
    """Read the rinds of a case; none where the folder has no such table."""
    if not path.is_file():
        return {}
    table = read_csv(path)
    values = np.column_stack([numbers(table[name]) for name in RIND_COLUMNS[1:]])
    lung = np.asarray(table["lung"])
    return {
        side: RindRecord(values[lung == side, :3], values[lung == side, 3])
        for side in SIDES
        if (lung == side).any()
    }


def _whole(text: str | None) -> int | None:
    return None if text is None else int(text)


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    """Give what a file holds; nothing where it does not exist or is no object of JSON."""
    try:
        found = json.loads((folder / name).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
