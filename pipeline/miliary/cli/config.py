"""Print the effective configuration as TOML.

Each key stands under its meaning, unit and source; `--config` and `--set` are honoured.
"""

from __future__ import annotations

import argparse
import sys

from miliary.cli.common import add_config_options, load_options
from miliary.errors import EXIT_DONE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `miliary config`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the command.
    """
    add_config_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Run `miliary config`.

    Parameters
    ----------
    args : argparse.Namespace
        As parsed.

    Returns
    -------
    int
        Exit status.
    """
    from miliary.config import config_toml

    sys.stdout.write(config_toml(load_options(args)))
    return EXIT_DONE
