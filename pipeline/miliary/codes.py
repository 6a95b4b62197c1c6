"""Every code that a table, a log or a message may hold: what it means, and what to do.

`E_` is a failure or a refusal, `SKIP_` what is no chest CT, `W_` a case that is done with a
reservation. The sentence beside a code tells the particular case; this table tells the cure.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CODES", "Code"]


class Code(NamedTuple):
    """What a code means.

    Parameters
    ----------
    meaning : str
        What happened, without a full stop.
    cure : str
        What the user can do.
    """

    meaning: str
    cure: str


_EXPORT = "Export the series again from the archive, whole and as it was scanned."
_HEADER = "Export it again; where the header is wrong at its source, no reader can tell the truth."
_NONE = "Nothing to do: it is listed, and left out."
_KNOWN = "Nothing to do; the case is done. Look at the sentence before you rely on it."

#: By name; the words of a table of the documentation.
CODES: dict[str, Code] = {
    "OK": Code("the series can be read", "Nothing to do."),
    # Usage and results.
    "E_MILIARY": Code("a failure without a more exact code", "Read its sentence."),
    "E_USAGE": Code(
        "the command line or a call asks for what cannot be",
        "Read the sentence; `miliary COMMAND --help` tells every option.",
    ),
    "E_CONFIG": Code(
        "a setting is unknown, of the wrong type or out of range",
        "Take the name that the message proposes; `miliary config` prints all of them.",
    ),
    "E_INPUT": Code(
        "the input holds nothing that can be read as a CT of the chest",
        "See what was found by `miliary series INPUT`.",
    ),
    "E_SERIES": Code("a series cannot be read truthfully", "Read its sentence."),
    "E_NO_LUNGS": Code(
        "the image is sound, but no lung was found in it",
        "Check that it is a CT of the chest, in HU, with air round the body.",
    ),
    "E_CASE_FOLDER": Code(
        "a case folder could not be written, or is not one that this tool wrote",
        "Mostly the disk is full: make room and use `--retry-failed`. To compare, name folders "
        "of `miliary run`.",
    ),
    "E_NO_SOURCE": Code(
        "DICOM results were wanted, but there are no slices as scanned for them to refer to",
        "Leave out `--dicom`: the input is a volume file, resampled, or in several objects.",
    ),
    # The process of a case.
    "E_TIMEOUT": Code(
        "the case took longer than `run.timeout_s`",
        "`--set run.timeout_s=7200 --retry-failed`, or fewer `--jobs`.",
    ),
    "E_MEMORY": Code(
        "the case took more memory than its share, or than `run.memory_mb`",
        "Fewer `--jobs`, and `--retry-failed`.",
    ),
    "E_KILLED": Code(
        "the process of the case was killed from outside, `run.attempts` times",
        "Mostly for want of memory: look into the system's log, use fewer `--jobs` and "
        "`--retry-failed`.",
    ),
    "E_WORKER": Code(
        "workers of the Dask cluster died with the case, too often",
        "Look at the workers' logs; give them more memory, and use `--retry-failed`.",
    ),
    "E_CRASH": Code(
        "a library crashed",
        "Report it, with the step that the message names; the other cases are valid.",
    ),
    "E_INTERNAL": Code(
        "a fault of this program",
        "Report it, with the traceback in `log.jsonl`; the other cases are valid.",
    ),
    # Files and pixels.
    "E_UNREADABLE": Code("files are truncated, damaged or too big to be headers", _EXPORT),
    "E_PIXELS": Code("pixels are missing, cut short, or cannot be decoded", _EXPORT),
    "E_TOO_BIG": Code(
        "more slices, pixels or megabytes than a chest CT has: perhaps a bomb",
        "If it is meant: raise `read.max_slices`, `read.max_rows`, `read.max_volume_mb` or "
        "`read.max_zip_mb`.",
    ),
    "E_SLOPE0": Code("a rescale slope is 0: all values would be the same", _HEADER),
    "E_RESCALE": Code("a rescale tag holds no number", _HEADER),
    "E_NO_RESCALE": Code("some slices state a rescale and others none", _HEADER),
    "E_NOT_HU": Code(
        "values are not in HU, by their type or by what they are",
        "Use a series with its rescale; of a volume file, convert it again with values in HU.",
    ),
    # Geometry.
    "E_NO_GEOMETRY": Code("size, position, orientation or pixel spacing is missing", _HEADER),
    "E_NOT_PLAUSIBLE": Code(
        "pixels, distances or positions are none of a chest CT",
        "Check the header; for a small animal, change `read.pixel_mm` and `read.step_mm`.",
    ),
    "E_MIXED_SPACING": Code(
        "slices of one series lie on several grids", "Export them as series of their own."
    ),
    "E_MIXED_FRAMES": Code(
        "slices of one series lie in several frames of reference, or were made in several ways",
        "Export them as series of their own.",
    ),
    "E_OVERLAPPING_PHASES": Code(
        "every position comes twice, and no tag tells the phases apart",
        "Export the phases as series of their own.",
    ),
    "E_DUP_POSITIONS": Code(
        "some slices lie at the place of others", "Take away the ones that do not belong."
    ),
    "E_SHIFTED_SLICES": Code(
        "a slice lies sideways of the others", "It is of another series, or damaged: take it away."
    ),
    "E_MISSING_SLICES": Code(
        "slices are missing in between",
        "Get them from the archive; or `--allow missing`, which interpolates gaps up to "
        "`read.max_gap_mm` and stamps the case degraded.",
    ),
    "E_VARIABLE_SPACING": Code(
        "distances of slices vary",
        "Use an evenly reconstructed series; or `--allow variable`, which interpolates and "
        "stamps the case degraded.",
    ),
    "E_GANTRY_TILT": Code(
        "the gantry was tilted: slices do not lie above one another",
        "`--allow tilt` shears them upright and stamps the case degraded.",
    ),
    # What is no chest CT.
    "SKIP_NOT_CT": Code("it is no image of CT: a secondary capture, a dose report", _NONE),
    "SKIP_LOCALIZER": Code("it is a localizer (scout)", _NONE),
    "SKIP_PROJECTION": Code("it is a projection, such as a MIP, not what was scanned", _NONE),
    "SKIP_TOO_FEW": Code(
        "it has too few slices for a volume",
        "Nothing to do, unless slices got lost: then export it again.",
    ),
    # Done, with a reservation.
    "W_DUP_FILES": Code("files that repeat a slice were left out", _KNOWN),
    "W_UNREADABLE_FILES": Code(
        "files beside the series cannot be read; slices at its ends may be missing",
        "Check that lung apex and base are there, or export it again.",
    ),
    "W_NO_RESCALE": Code("no slice states a rescale; values are taken as HU", _KNOWN),
    "W_MONO1_NOT_INVERTED": Code("MONOCHROME1 slices were read as HU, not inverted", _KNOWN),
    "W_MISSING_SLICES": Code(
        "missing slices were interpolated (`--allow missing`)",
        "Nodules there cannot be trusted; the notes name the places.",
    ),
    "W_VARIABLE_SPACING": Code(
        "slices were interpolated onto an even grid (`--allow variable`)",
        "Small nodules are blurred by it: prefer an evenly reconstructed series.",
    ),
    "W_GANTRY_TILT": Code(
        "slices were sheared upright (`--allow tilt`)",
        "Small nodules are blurred by it a little; no DICOM results are written.",
    ),
    "W_NOT_ASSESSABLE": Code(
        "the case is done, but whether it is miliary cannot be judged in this scan",
        "Use a reconstruction with thinner slices or smaller pixels, where there is one.",
    ),
    "W_LUNG_EXCLUDED": Code(
        "one lung cannot be judged: not found, collapsed, consolidated or encased",
        "The verdict is about the other lung; look at the masks.",
    ),
}
