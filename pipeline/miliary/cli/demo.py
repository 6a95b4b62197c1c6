"""Go the whole way on sample data, ending with a report to open."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import miliary
from miliary.cli.common import add_config_options, align, load_options, say
from miliary.cli.phantom import write_phantom
from miliary.cli.run import Options, run_inputs
from miliary.cli.score import score_case

_TRUTH = "truth.csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `miliary demo`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the command.
    """
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("miliary-demo"),
        metavar="DIR",
        help="for the results (%(default)s)",
    )
    add_config_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Run `miliary demo`.

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
    with tempfile.TemporaryDirectory() as scratch:
        sample = sample_folder()
        if sample is None:
            say("there is no sample_data beside this installation; making a small phantom")
            sample = _small_phantom(Path(scratch) / "phantom")
        finished = run_inputs([sample], args.out, config, Options())
        for report in finished.reports:
            facts = score_case(report.parent, sample)
            facts.pop("by_size")
            rows = [[key, "-" if value is None else str(value)] for key, value in facts.items()]
            say(f"found against known nodules:\n{align(rows)}")
    for path in finished.reports or (finished.index,):
        print(path)
    return finished.status


def sample_folder() -> Path | None:
    """Find the sample series that comes with a checkout.

    Returns
    -------
    Path or None
        The folder with its truth; None for an installed package.
    """
    data = Path(miliary.__file__).resolve().parents[2] / "sample_data"
    found = sorted(data.rglob(_TRUTH)) if data.is_dir() else []
    return found[0].parent if found else None


def _small_phantom(folder: Path) -> Path:
    from miliary.phantom import PhantomSpec

    write_phantom(folder, PhantomSpec())
    return folder
