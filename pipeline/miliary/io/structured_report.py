"""Findings as a DICOM structured report (TID 1500): a summary, and a group a nodule up to a cap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from pydicom.sr.coding import Code

from miliary.anatomy import SIDES, Lung
from miliary.io.identity import uid_of
from miliary.io.segmentation import LUNG, MICRONODULE, NODULE, SIDE_CODES
from miliary.io.series import SeriesInfo
from miliary.io.source_images import SourceImages
from miliary.nodules import Nodules

_CT_CHEST = Code("24627-2", "LN", "CT Chest")
_NUMBER = Code("246206008", "SCT", "Number of lesions")
_DIAMETER = Code("81827009", "SCT", "Diameter")
_MEDIAN = Code("373099004", "SCT", "Median")
_VOLUME = Code("118565006", "SCT", "Volume")
_ML = Code("ml", "UCUM", "milliliter")
_MM, _COUNTS = Code("mm", "UCUM", "millimeter"), Code("{counts}", "UCUM", "counts")
_MILIARY = Code("112129", "DCM", "Miliary pattern")
_FLAGS = {
    "present": Code("52101004", "SCT", "Present"),
    "absent": Code("2667000", "SCT", "Absent"),
    "indeterminate": Code("82334004", "SCT", "Indeterminate"),
    # No standard code was found for this one.
    "not_assessable": Code("not_assessable", "99MILIARY", "Not assessable"),
}
_DISTRIBUTION = Code("112006", "DCM", "Distribution Descriptor")
#: CID 6128 has no code for two of them; no pattern (`none`) has no distribution.
_PATTERNS = {
    "random": Code("random", "99MILIARY", "Random"),
    "centrilobular": Code("112156", "DCM", "Centrilobular"),
    "perilymphatic": Code("perilymphatic", "99MILIARY", "Perilymphatic"),
    "indeterminate": _FLAGS["indeterminate"],
}
_UPPER = Code("45653009", "SCT", "Upper lobe of lung")
_LOWER = Code("90572001", "SCT", "Lower lobe of lung")
_LOBES = {
    "RUL": _UPPER,
    "RML": Code("72481006", "SCT", "Middle lobe of right lung"),
    "RLL": _LOWER,
    "LUL": _UPPER,
    "LLL": _LOWER,
}
_ZONES = {
    "upper": Code("281392002", "SCT", "Upper zone of lung"),
    "middle": Code("281393007", "SCT", "Middle zone of lung"),
    "lower": Code("281394001", "SCT", "Lower zone of lung"),
}


def write_structured_report(
    path: str | Path,
    info: SeriesInfo,
    images: SourceImages,
    nodules: Nodules,
    *,
    flag: str,
    pattern: str,
    lungs: Sequence[Lung],
    min_score: float,
    max_nodules: int,
) -> Path:
    """Write the summary and the most probable nodules as a structured report.

    Parameters
    ----------
    path : path
        The file. It holds the patient's name and id, as the source images do.
    info : SeriesInfo
        The series that was read.
    images : SourceImages
        Its images, to which the result refers.
    nodules : Nodules
        Rows of `nodules.csv`, whose numbers the groups have.
    flag : str
        `present`, `absent`, `indeterminate` or `not_assessable`.
    pattern : str
        Label of the distribution: `random`, `centrilobular`, ...
    lungs : sequence of Lung
        Those found: each gets a group with its volume and the number of its nodules.
    min_score : float
        Operating point: rows below are candidates, not findings, and are left out.
    max_nodules : int
        Nodules that get a group of their own, by score: each costs about 16 ms.

    Returns
    -------
    Path
        The file: complete, not verified.
    """
    if flag not in _FLAGS:
        raise ValueError(f"flag must be one of {', '.join(_FLAGS)}, got {flag!r}")
    frame_uid = str(images.datasets[0].FrameOfReferenceUID)
    accepted = nodules.score >= min_score
    # Stable: equal scores keep their order, so the same result gives the same file.
    ranked = np.argsort(-nodules.score, kind="stable")[: np.count_nonzero(accepted)]
    shown = np.sort(ranked[:max_nodules])
    findings = nodules.take(accepted)
    groups = [_summary(findings, flag, pattern, info)]
    groups += [_lung(findings, lung, info) for lung in lungs]
    groups += [_group(nodules, int(i), frame_uid, info) for i in shown]
    report = hd.sr.MeasurementReport(
        observation_context=_observed(),
        procedure_reported=_CT_CHEST,
        imaging_measurements=groups,
    )
    # UIDs follow from the content: the same result is the same object, another one is not.
    content = f"{flag} {pattern} {nodules.points_mm.tobytes().hex()}"
    made = hd.sr.Comprehensive3DSR(
        evidence=images.datasets,
        content=report[0],
        series_instance_uid=uid_of("sr series", info.case, content),
        series_number=901,
        sop_instance_uid=uid_of("sr", info.case, content),
        instance_number=1,
        manufacturer="miliary",
        is_complete=True,
    )
    made.save_as(str(path))
    return Path(path)


def _observed() -> Any:
    """Say that a device looked, no person."""
    return hd.sr.ObservationContext(
        observer_device_context=hd.sr.ObserverContext(
            observer_type=Code("121007", "DCM", "Device"),
            observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
                uid=uid_of("device"), name="miliary"
            ),
        )
    )


def _summary(nodules: Nodules, flag: str, pattern: str, info: SeriesInfo) -> Any:
    measurements = [hd.sr.Measurement(name=_NUMBER, value=len(nodules), unit=_COUNTS)]
    if len(nodules):
        median = float(np.median(nodules.diameter_mm))
        measurements.append(
            hd.sr.Measurement(name=_DIAMETER, value=round(median, 2), unit=_MM, derivation=_MEDIAN)
        )
    judged = [hd.sr.QualitativeEvaluation(name=_MILIARY, value=_FLAGS[flag])]
    if pattern in _PATTERNS:
        judged.append(hd.sr.QualitativeEvaluation(name=_DISTRIBUTION, value=_PATTERNS[pattern]))
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(
            uid=uid_of("summary", info.case), identifier="All nodules"
        ),
        finding_type=NODULE,
        finding_sites=[hd.sr.FindingSite(anatomic_location=LUNG)],
        measurements=measurements,
        qualitative_evaluations=judged,
    )


def _lung(nodules: Nodules, lung: Lung, info: SeriesInfo) -> Any:
    side = SIDE_CODES[SIDES[lung.side]]
    n = int(np.count_nonzero(nodules.lung == lung.side))
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(
            uid=uid_of("lung", info.case, lung.side), identifier=f"{lung.side.capitalize()} lung"
        ),
        finding_type=NODULE,
        finding_sites=[hd.sr.FindingSite(anatomic_location=LUNG, laterality=side)],
        measurements=[
            hd.sr.Measurement(name=_NUMBER, value=n, unit=_COUNTS),
            hd.sr.Measurement(name=_VOLUME, value=round(lung.volume_ml, 1), unit=_ML),
        ],
    )


def _site(nodules: Nodules, index: int) -> Any:
    """Where a nodule lies, as closely as it is known: lobe, else zone, else lung; and its side."""
    lobe, zone = str(nodules.lobe[index]), str(nodules.zone[index])
    side = SIDES.get(str(nodules.lung[index]))
    return hd.sr.FindingSite(
        anatomic_location=_LOBES.get(lobe) or _ZONES.get(zone) or LUNG,
        laterality=SIDE_CODES[side] if side else None,
    )


def _group(nodules: Nodules, index: int, frame_uid: str, info: SeriesInfo) -> Any:
    number = index + 1
    region = hd.sr.ImageRegion3D(
        graphic_type=hd.sr.GraphicTypeValues3D.POINT,
        graphic_data=nodules.points_mm[index : index + 1],
        frame_of_reference_uid=frame_uid,
    )
    diameter = round(float(nodules.diameter_mm[index]), 2)
    return hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(
            uid=uid_of("nodule", info.case, str(number)), identifier=f"Nodule {number}"
        ),
        referenced_region=region,
        finding_type=MICRONODULE if nodules.micronodule[index] else NODULE,
        finding_sites=[_site(nodules, index)],
        measurements=[hd.sr.Measurement(name=_DIAMETER, value=diameter, unit=_MM)],
    )
