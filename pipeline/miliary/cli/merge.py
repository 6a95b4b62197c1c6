"""Join the tables of the parts that `run --shard` wrote."""

from __future__ import annotations

import argparse
from pathlib import Path

from miliary.cli.common import add_config_options, load_options, say
from miliary.errors import UsageError, exit_status


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `miliary merge`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the command.
    """
    parser.add_argument("folder", type=Path, metavar="DIR", help="what --out named for all parts")
    parser.add_argument("--parquet", action="store_true", help="write cases.parquet as well")
    add_config_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Run `miliary merge`.

    Parameters
    ----------
    args : argparse.Namespace
        As parsed.

    Returns
    -------
    int
        Exit status, as one run over all cases would have it.
    """
    config = load_options(args)
    if not args.folder.is_dir():
        raise UsageError(f"the folder must be one of `miliary run`, got {args.folder}")
    from miliary.cohort.pages import check_parquet, write_page, write_parquet
    from miliary.cohort.shards import find_shards, merge_cases, merge_series
    from miliary.cohort.tables import tell_full_disk
    from miliary.io.tables import iterate_csv

    if args.parquet:
        check_parquet()
    shards = find_shards(args.folder)
    table = args.folder / "cases.csv"
    with tell_full_disk(table):
        merge_cases(args.folder, shards)
        merge_series(args.folder, shards)
    write_page(args.folder, most=config.run.page_rows)
    if args.parquet:
        write_parquet(table)
    statuses = [row["status"] for row in iterate_csv(table)]
    n_failed = statuses.count("failed")
    say(f"{len(statuses)} cases of {len(shards)} parts, {n_failed} failed")
    print(args.folder / "index.html")
    return exit_status(len(statuses) - n_failed, n_failed)
