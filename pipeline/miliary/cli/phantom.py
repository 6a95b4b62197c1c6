"""Make a synthetic chest CT as DICOM, with its truth."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from miliary.errors import EXIT_DONE, UsageError

if TYPE_CHECKING:
    from miliary.phantom import PhantomSpec

#: Option to field of PhantomSpec, with help; types and defaults are the fields' own.
_TEXTS = {
    "pattern": ("pattern", "none, random, centrilobular, perilymphatic or metastases"),
    "lungs": ("lungs", "which bear nodules: both, right or left"),
}
_NUMBERS = {
    "diameter": ("diameter_mm", "mean diameter of the nodules in mm"),
    "diameter-sd": ("diameter_sd_mm", "its standard deviation in mm"),
    "noise": ("noise_hu", "standard deviation of the noise in HU"),
    "scale": ("scale", "size of the chest, 1 for an adult's; the largest that fits unless given"),
}
_TRIPLES = {"spacing": ("spacing_mm", "voxel size in mm"), "psf": ("psf_fwhm_mm", "blur in mm")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `miliary phantom`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the command.
    """
    axes = ("Z", "Y", "X")
    parser.add_argument("folder", type=Path, metavar="DIR", help="new or empty")
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
    from dataclasses import fields

    from miliary.io.write_dicom import CODINGS
    from miliary.phantom import PhantomSpec

    if args.coding not in CODINGS:
        raise UsageError(f"--coding must be one of {', '.join(CODINGS)}, got {args.coding!r}")
    given = {item.name: getattr(args, item.name, None) for item in fields(PhantomSpec)}
    wishes: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if value is not None
    }
    try:
        spec = PhantomSpec(**wishes)
    except ValueError as error:
        raise UsageError(str(error)) from error
    write_phantom(args.folder, spec, coding=args.coding)
    print(args.folder)
    return EXIT_DONE


def write_phantom(folder: Path, spec: PhantomSpec, *, coding: str = "none") -> None:
    """Write a phantom: `dicom/`, `truth.csv`, `lungs.nii.gz`; whole or not at all.

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
        Where the folder holds something, or cannot be made.
    """
    from miliary.io.images import write_mask
    from miliary.io.tables import write_csv
    from miliary.io.write_dicom import write_series
    from miliary.phantom import make_phantom

    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"the folder of a phantom must be new or empty, got {folder}")
    partial = folder.with_name(f".{folder.name}.partial")
    made = make_phantom(spec)
    try:
        partial.mkdir(parents=True, exist_ok=True)
        write_series(partial / "dicom", made.volume, seed=spec.seed, coding=coding)
        write_csv(partial / "truth.csv", made.nodules.columns())
        write_mask(partial / "lungs.nii.gz", made.lung_labels, made.volume.geometry)
        # Takes the place of an empty folder as well.
        partial.replace(folder)
    except OSError as error:
        raise UsageError(f"the folder must be writable, got {folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
