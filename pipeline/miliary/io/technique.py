"""How a slice was acquired, from its header: thickness, kernel, scanner, voltage, exposure."""

from __future__ import annotations

import math

from miliary.io.tags import Elements, items, number, tags_of, text, values
from miliary.volume import Acquisition

TECHNIQUE_TAGS = tags_of(
    (
        "SliceThickness",
        "ConvolutionKernel",
        "Manufacturer",
        "ManufacturerModelName",
        "KVP",
        "Exposure",
        "ExposureInuAs",
        "ExposureInmAs",
        "ExposureTime",
        "ExposureTimeInms",
        "XRayTubeCurrent",
        "XRayTubeCurrentInmA",
        "ContrastBolusAgent",
        "ContrastBolusAgentSequence",
    )
)

#: Makers divide the exposure by the pitch (0.2 to 3) or do not; beyond this factor of current
#: times time, a stated exposure is in another unit. Seen: 7837 where 440 mA x 0.843 s is 371 mAs.
_PITCH_FACTOR = 6.0

#: No chest CT takes more; a larger number alone is in another unit.
_MAX_MAS = 3000.0


def acquisition_of(elements: Elements) -> Acquisition:
    """Gather how a slice was acquired.

    Parameters
    ----------
    elements : Elements
        Its header, functional groups laid flat.

    Returns
    -------
    Acquisition
        With None for what the header does not tell.
    """
    agent = text(elements, TECHNIQUE_TAGS["ContrastBolusAgent"]) or items(
        elements, TECHNIQUE_TAGS["ContrastBolusAgentSequence"]
    )
    return Acquisition(
        slice_thickness_mm=_positive(elements, "SliceThickness"),
        kernel=_short(elements, "ConvolutionKernel"),
        manufacturer=_short(elements, "Manufacturer"),
        model=_short(elements, "ManufacturerModelName"),
        kvp=_positive(elements, "KVP"),
        exposure_mas=_exposure_mas(elements),
        # An absent tag says nothing; only a named agent does.
        contrast_agent=True if agent else None,
    )


def _exposure_mas(elements: Elements) -> float | None:
    """Find the exposure in mAs: as stated where that can be so, else current times time."""
    current_ma = _positive(elements, "XRayTubeCurrentInmA") or _positive(
        elements, "XRayTubeCurrent"
    )
    time_ms = _positive(elements, "ExposureTimeInms") or _positive(elements, "ExposureTime")
    product = current_ma * time_ms / 1000 if current_ma and time_ms else None
    micro = _positive(elements, "ExposureInuAs")
    stated = (
        _positive(elements, "ExposureInmAs"),
        None if micro is None else micro / 1000,
        _positive(elements, "Exposure"),
    )
    for exposure in stated:
        if exposure is None:
            continue
        if product is None:
            if exposure <= _MAX_MAS:
                return exposure
        elif 1 / _PITCH_FACTOR <= exposure / product <= _PITCH_FACTOR:
            return exposure
    return product if product is None or product <= _MAX_MAS else None


def _positive(elements: Elements, name: str) -> float | None:
    value = number(elements, TECHNIQUE_TAGS[name])
    return value if value is not None and value > 0 and math.isfinite(value) else None


def _short(elements: Elements, name: str) -> str | None:
    """Give a technical tag as one short printable line: tags can hold anything."""
    told = " ".join(part for part in values(elements, TECHNIQUE_TAGS[name]) if part)
    return "".join(filter(str.isprintable, told)).strip()[:64] or None
