"""Describe nodules and lungs that were found elsewhere: masks and tables in, numbers out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from miliary.cli.common import add_config_options, check_inputs, load_options, output_folder, say
from miliary.errors import EXIT_DONE, UsageError

if TYPE_CHECKING:
    from miliary.arrays import AnyArray
    from miliary.geometry import Geometry

#: Centres of two grids may differ by as much, in voxels, to pass for one.
_SAME_GRID = 0.01


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `miliary measure`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the command.
    """
    parser.add_argument(
        "lungs", type=Path, metavar="LUNGS", help="label image: 1 right lung, 2 left lung"
    )
    parser.add_argument(
        "nodules",
        type=Path,
        metavar="NODULES",
        help="a table with x_mm, y_mm, z_mm (LPS) and, where known, diameter_mm and "
        "diameter_se_mm; or a label image, each nodule a number",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the results")
    for name, text in (
        ("lobes", "label image: 1 RUL, 2 RML, 3 RLL, 4 LUL, 5 LLL"),
        ("vessels", "mask of the vessels, which are left out of the window"),
        ("fissures", "mask of the fissures"),
    ):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=text)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all randomness")
    add_config_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Run `miliary measure`.

    Parameters
    ----------
    args : argparse.Namespace
        As parsed.

    Returns
    -------
    int
        Exit status.
    """
    config = load_options(args)
    optional = {"lobes": args.lobes, "vessels": args.vessels, "fissures": args.fissures}
    given = {name: path for name, path in optional.items() if path is not None}
    check_inputs([args.lungs, args.nodules, *given.values()])
    from miliary.from_masks import describe_masks

    lungs, geometry = _image(args.lungs)
    images = {name: _same_grid(path, geometry) for name, path in given.items()}
    try:
        analysis = describe_masks(
            lungs,
            geometry,
            **_nodules(args.nodules, geometry),
            lobe_labels=images.get("lobes"),
            vessel_mask=images["vessels"] > 0 if "vessels" in images else None,
            fissure_mask=images["fissures"] > 0 if "fissures" in images else None,
            config=config,
            seed=args.seed,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    with output_folder(args.out):
        from miliary.case_files import write_tables

        for path in write_tables(args.out, analysis):
            print(path)
    say(f"{len(analysis.nodules)} nodules, pattern {analysis.pattern.label}")
    return EXIT_DONE


def _image(path: Path) -> tuple[AnyArray, Geometry]:
    from miliary.io.images import read_mask

    try:
        return read_mask(path)
    except (RuntimeError, ValueError) as error:
        raise UsageError(
            f"a mask must be a NIfTI, NRRD or MetaImage file, got {path}; name another"
        ) from error


def _same_grid(path: Path, geometry: Geometry) -> AnyArray:
    import numpy as np

    image, grid = _image(path)
    corners = np.array([[0, 0, 0], [n - 1 for n in geometry.shape]], float)
    if grid.shape != geometry.shape or (
        np.abs(geometry.to_index(grid.to_world(corners)) - corners).max() > _SAME_GRID
    ):
        raise UsageError(
            f"all masks must lie on the grid of the lungs, {geometry.shape}, got {path} on "
            f"{grid.shape} or elsewhere; resample it first"
        )
    return image


def _nodules(path: Path, geometry: Geometry) -> dict[str, Any]:
    """Read centres and diameters from a table, or from a label image as balls of its volumes."""
    import numpy as np

    if path.suffix.lower() == ".csv":
        from miliary.io.tables import numbers, read_csv

        columns = read_csv(path)
        try:
            points = np.stack([numbers(columns[name]) for name in ("x_mm", "y_mm", "z_mm")], axis=1)
            found = {"points_mm": points}
            for name in ("diameter_mm", "diameter_se_mm"):
                if name in columns:
                    found[name] = numbers(columns[name])
        except (KeyError, ValueError) as error:
            raise UsageError(
                f"a table of nodules must have x_mm, y_mm and z_mm, got {path}: "
                f"{type(error).__name__} {error}"
            ) from error
        return found
    labels = _same_grid(path, geometry)
    index = np.argwhere(labels)
    _, which, counts = np.unique(labels[labels > 0], return_inverse=True, return_counts=True)
    sums = [np.bincount(which, weights=axis) for axis in index.T]
    volume_mm3 = counts * geometry.voxel_ml * 1000.0
    return {
        "points_mm": geometry.to_world(np.stack(sums, axis=1) / counts[:, None]),
        "diameter_mm": np.cbrt(6.0 * volume_mm3 / np.pi),
    }
