"""Findings as a DICOM structured report (TID 1500): a summary, and a group a nodule up to a cap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from pydicom.sr.coding import Code

from miliary.anatomy import SIDES
from miliary.config.reading import ReadSettings
from miliary.io.identity import uid_of
from miliary.io.segmentation import LUNG, MICRONODULE, SIDE_CODES
from miliary.io.series import SeriesInfo
from miliary.io.source_images import source_images
from miliary.nodules import Nodules

_CT_CHEST = Code("24627-2", "LN", "CT Chest")
_NODULE = Code("27925004", "SCT", "Nodule")
_NUMBER = Code("246206008", "SCT", "Number of lesions")
_DIAMETER = Code("81827009", "SCT", "Diameter")
_MEDIAN = Code("373099004", "SCT", "Median")
_MM, _COUNTS = Code("mm", "UCUM", "millimeter"), Code("{counts}", "UCUM", "counts")
_MILIARY = Code("112129", "DCM", "Miliary pattern")
_FLAGS = {
    "present": Code("52101004", "SCT", "Present"),
    "absent": Code("2667000", "SCT", "Absent"),
    "indeterminate": Code("82334004", "SCT", "Indeterminate"),
    # No standard code was found for this one.
    "not_assessable": Code("not_assessable", "99MILIARY", "Not assessable"),
}


def write_structured_report(
    path: str | Path,
    info: SeriesInfo,
    settings: ReadSettings,
    nodules: Nodules,
    *,
    flag: str,
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
    settings : ReadSettings
        As it was read with.
    nodules : Nodules
        Rows of `nodules.csv`, whose numbers the groups have.
    flag : str
        `present`, `absent`, `indeterminate` or `not_assessable`.
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
    images = source_images(info, settings)
    frame_uid = str(images.datasets[0].FrameOfReferenceUID)
    accepted = nodules.score >= min_score
    ranked = np.argsort(-nodules.score, kind="stable")[: np.count_nonzero(accepted)]
    shown = np.sort(ranked[:max_nodules])
    groups = [_summary(nodules.take(accepted), flag, info)]
    groups += [_group(nodules, int(i), frame_uid, info) for i in shown]
    report = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(
            observer_device_context=hd.sr.ObserverContext(
                observer_type=Code("121007", "DCM", "Device"),
                observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
                    uid=uid_of("device"), name="miliary"
                ),
            )
        ),
        procedure_reported=_CT_CHEST,
        imaging_measurements=groups,
    )
    content = f"{flag} {nodules.points_mm.tobytes().hex()}"
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


def _summary(nodules: Nodules, flag: str, info: SeriesInfo) -> Any:
    measurements = [hd.sr.Measurement(name=_NUMBER, value=len(nodules), unit=_COUNTS)]
    if len(nodules):
        median = float(np.median(nodules.diameter_mm))
        measurements.append(
            hd.sr.Measurement(name=_DIAMETER, value=round(median, 2), unit=_MM, derivation=_MEDIAN)
        )
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(
            uid=uid_of("summary", info.case), identifier="All nodules"
        ),
        finding_type=_NODULE,
        finding_sites=[hd.sr.FindingSite(anatomic_location=LUNG)],
        measurements=measurements,
        qualitative_evaluations=[hd.sr.QualitativeEvaluation(name=_MILIARY, value=_FLAGS[flag])],
    )


def _group(nodules: Nodules, index: int, frame_uid: str, info: SeriesInfo) -> Any:
    number = index + 1
    side = SIDES.get(str(nodules.lung[index]))
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
        finding_type=MICRONODULE if nodules.micronodule[index] else _NODULE,
        finding_sites=[
            hd.sr.FindingSite(anatomic_location=LUNG, laterality=SIDE_CODES[side] if side else None)
        ],
        measurements=[hd.sr.Measurement(name=_DIAMETER, value=diameter, unit=_MM)],
    )
