"""Parse the command line, run the command, turn what goes wrong into a sentence and a status.

Nothing heavy is imported before a command runs: `miliary --help` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

import miliary
from miliary.cli import compare, config, demo, measure, merge, phantom, run, score, series
from miliary.cli.common import Parser, say
from miliary.cli.examples import epilog
from miliary.errors import (
    EXIT_ALL_FAILED,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    InputError,
    MiliaryError,
)

COMMANDS = {
    "run": run,
    "merge": merge,
    "series": series,
    "compare": compare,
    "phantom": phantom,
    "score": score,
    "measure": measure,
    "config": config,
    "demo": demo,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str or None
        Its arguments; those of the process unless given.

    Returns
    -------
    int
        Exit status, as in the contract.
    """
    try:
        args = make_parser().parse_args(argv)
        return int(args.execute(args))
    except SystemExit as stop:
        # argparse leaves this way after --help and --version.
        return int(stop.code or 0)
    except KeyboardInterrupt:
        say("interrupted", kind="error")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has stopped reading, which is no failure; Python must not
        # complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MiliaryError as error:
        say(str(error), kind="error")
        return EXIT_ALL_FAILED if isinstance(error, InputError) else EXIT_USAGE
    except Exception as error:  # noqa: BLE001 - the last one to catch: a fault of ours
        traceback.print_exc()
        say(f"internal error ({type(error).__name__}); please report the lines above", kind="error")
        return EXIT_USAGE


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of all commands.

    Returns
    -------
    argparse.ArgumentParser
        Its result has `execute`, the function to call with it.
    """
    parser = Parser(
        prog="miliary",
        description="Whether the micronodules of a chest CT form a miliary pattern: by how much, "
        "how surely, and why. Research use only.",
        epilog="Begin with `miliary demo`; `miliary COMMAND --help` has every option, with "
        "examples. Exit status: 0 every case done; 1 wrong usage or configuration; 2 some cases "
        "failed; 3 all failed; 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"miliary {miliary.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for name, command in COMMANDS.items():
        text = (command.__doc__ or "").splitlines()[0]
        added = commands.add_parser(
            name,
            help=text[0].lower() + text[1:-1],
            description=text,
            epilog=epilog(name),
            # Examples stand in lines of their own; the descriptions are one line each.
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(added)
        added.set_defaults(execute=command.execute)
    return parser
