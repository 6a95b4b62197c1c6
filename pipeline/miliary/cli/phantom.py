"""Make a synthetic chest CT as DICOM, with its truth."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from miliary.errors import EXIT_DONE, UsageError

if TYPE_CHECKING:
    from miliary.phantom import Phantom, PhantomSpec

#: Shortcut to wish, with help; types and defaults are the wishes' own.
_TEXTS = {
    "pattern": ("pattern", "none, random, centrilobular, perilymphatic or metastases"),
    "lungs": ("lungs", "which bear nodules: both, right or left"),
    "encased": ("encased_lung", "lung in a pleural rind and shrunken: none, right or left"),
    "consolidated": ("consolidated_lobe", "airless lobe: none, RUL, RML, RLL, LUL or LLL"),
}
_NUMBERS = {
    "diameter": ("diameter_mm", "mean diameter of the nodules in mm"),
    "diameter-sd": ("diameter_sd_mm", "its standard deviation in mm"),
    "gradient": ("gradient", "density of nodules at the base over that at the apex"),
    "noise": ("noise_hu", "standard deviation of the noise in HU"),
    "dose": ("dose", "dose as a multiple of that of the noise given"),
    "scale": ("scale", "size of the chest, 1 for an adult's; the largest that fits unless given"),
    "breath": ("breath", "height of the lungs as a part of that in full inspiration"),
    "ground-glass": ("ground_glass_share", "part of the lung under ground glass"),
    "septa": ("septal_thickening_mm", "thickness of thickened septa in mm"),
}
_TRIPLES = {
    "spacing": ("spacing_mm", "voxel size in mm"),
    "psf": ("psf_fwhm_mm", "blur in mm"),
    "rotation": ("rotation_deg", "turn of the grid in degrees: oblique slices"),
}

#: Days between visits, and the day of the first.
_FIRST_DAY, _DAYS = "2026-01-01", 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `miliary phantom`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the command.
    """
    axes = ("Z", "Y", "X")
    parser.add_argument("folder", type=Path, metavar="DIR", help="new or empty")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="wishes as TOML, such as a phantom.toml"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="TABLE.KEY=VALUE",
        help="one wish of scanner, chest or disease; may be repeated",
    )
    for name, (field, text) in _TEXTS.items():
        parser.add_argument(f"--{name}", dest=field, metavar="NAME", help=text)
    parser.add_argument("--n", dest="n_nodules", type=int, metavar="N", help="number of nodules")
    for name, (field, text) in _NUMBERS.items():
        parser.add_argument(f"--{name}", dest=field, type=float, metavar="NUMBER", help=text)
    parser.add_argument("--shape", type=int, nargs=3, metavar=axes, help="voxels")
    for name, (field, text) in _TRIPLES.items():
        parser.add_argument(f"--{name}", dest=field, type=float, nargs=3, metavar=axes, help=text)
    parser.add_argument("--seed", type=int, metavar="N", help="of all randomness")
    parser.add_argument(
        "--visit",
        action="append",
        default=[],
        type=Path,
        dest="visits",
        metavar="FILE",
        help="one more scan of the same patient: TOML of what differs; DIR/visit-1 is the first",
    )
    parser.add_argument(
        "--coding", default="none", metavar="NAME", help="of the pixels: none, rle or jpeg-ls"
    )


def execute(args: argparse.Namespace) -> int:
    """Run `miliary phantom`.

    Parameters
    ----------
    args : argparse.Namespace
        As parsed.

    Returns
    -------
    int
        Exit status.
    """
    from miliary.config.load import load_settings
    from miliary.io.write_dicom import CODINGS
    from miliary.phantom import PhantomSpec

    if args.coding not in CODINGS:
        raise UsageError(f"--coding must be one of {', '.join(CODINGS)}, got {args.coding!r}")
    spec = _with_shortcuts(load_settings(PhantomSpec(), args.config, args.overrides), args)
    if args.visits:
        visits = [spec, *(load_settings(spec, visit) for visit in args.visits)]
        write_visits(args.folder, visits, coding=args.coding)
    else:
        write_phantom(args.folder, spec, coding=args.coding)
    print(args.folder)
    return EXIT_DONE


def _with_shortcuts(spec: PhantomSpec, args: argparse.Namespace) -> PhantomSpec:
    """Change wishes by the options given for single ones."""
    from miliary.phantom.spec import WISHES

    given = {name: getattr(args, name, None) for name in WISHES}
    wishes: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if value is not None
    }
    try:
        return spec.but(**wishes)
    except ValueError as error:
        raise UsageError(str(error)) from error


def write_phantom(folder: Path, spec: PhantomSpec, *, coding: str = "none") -> None:
    """Write a phantom with its truth; whole or not at all.

    `dicom/` is the scan, `truth.csv` the nodules, `phantom.toml` the wishes; the masks bear the
    names of a case's, beside `tissues.nii.gz` (labels as in `tissues.csv`) and
    `hemithorax.nii.gz`.

    Parameters
    ----------
    folder : Path
        New or empty.
    spec : PhantomSpec
        What it shall be.
    coding : str
        Of the pixels.

    Raises
    ------
    UsageError
        Where the folder holds something, or cannot be made, or the lungs have no room for the
        nodules.
    """
    from miliary.phantom import make_phantom

    _write_whole(folder, lambda partial: _write_scan(partial, _made(make_phantom, spec), coding))


def write_visits(folder: Path, visits: list[PhantomSpec], *, coding: str = "none") -> None:
    """Write several scans of one patient, each as `write_phantom` does; whole or not at all.

    Parameters
    ----------
    folder : Path
        New or empty; gets `visit-1`, `visit-2` and so on, dated some weeks apart.
    visits : list of PhantomSpec
        One a scan, oldest first.
    coding : str
        Of the pixels.

    Raises
    ------
    UsageError
        As `write_phantom`.
    """
    from miliary.phantom import make_serial_phantoms

    def write(partial: Path) -> None:
        for number, phantom in enumerate(_made(make_serial_phantoms, visits)):
            _write_scan(partial / f"visit-{number + 1}", phantom, coding, visit=number)

    _write_whole(folder, write)


def _made(make: Any, wishes: Any) -> Any:
    """Make phantoms; wishes that cannot be are the user's to change."""
    try:
        return make(wishes)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _write_whole(folder: Path, write: Any) -> None:
    """Fill a hidden folder beside, which takes the folder's place when it is whole."""
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"the folder of a phantom must be new or empty, got {folder}")
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        write(partial)
        # Takes the place of an empty folder as well.
        partial.replace(folder)
    except OSError as error:
        raise UsageError(f"the folder must be writable, got {folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_scan(folder: Path, phantom: Phantom, coding: str, *, visit: int = 0) -> None:
    """Write one scan and its truth."""
    from miliary.config.load import settings_toml
    from miliary.io.images import write_mask
    from miliary.io.tables import write_csv
    from miliary.io.write_dicom import write_series
    from miliary.phantom import Tissue

    spec, geometry = phantom.spec, phantom.volume.geometry
    write_series(
        folder / "dicom",
        phantom.volume,
        # Every visit is a study of its own, of one patient.
        seed=spec.seed + 1_000_003 * visit,
        coding=coding,
        tags=_visit_tags(spec.seed, visit),
    )
    write_csv(folder / "truth.csv", phantom.nodules.columns())
    labels, names = [int(tissue) for tissue in Tissue], [tissue.name.lower() for tissue in Tissue]
    write_csv(folder / "tissues.csv", {"label": labels, "tissue": names})
    masks = {
        "lungs": phantom.lung_labels,
        "hemithorax": phantom.hemithorax_labels,
        "lobes": phantom.lobe_labels,
        "fissures": phantom.fissure_mask,
        "vessels": phantom.vessel_mask,
        "airways": phantom.airway_mask,
        "tissues": phantom.tissue_labels,
    }
    for name, mask in masks.items():
        write_mask(folder / f"{name}.nii.gz", mask, geometry)
    heading = "miliary phantom: the wishes; read back with `miliary phantom --config`"
    (folder / "phantom.toml").write_text(settings_toml(spec, heading), "utf-8")


def _visit_tags(seed: int, visit: int) -> dict[str, str]:
    """Elements that make a series a later visit of the same patient."""
    from datetime import date, timedelta

    day = (date.fromisoformat(_FIRST_DAY) + timedelta(days=_DAYS * visit)).strftime("%Y%m%d")
    names = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
    patient = {"PatientName": f"Phantom^Miliary {seed}", "PatientID": f"PHANTOM-{seed}"}
    return {**dict.fromkeys(names, day), **patient}
