"""Every command with its options and examples, from the parser itself."""

from __future__ import annotations

import argparse

from generate.markdown import cell, code, fence, sentence, table
from miliary.cli.examples import EXAMPLES
from miliary.cli.main import make_parser

_HEAD = """# Every command

Made of the parser: `miliary COMMAND --help` prints the same. Data and paths go to standard
output, log and progress to standard error. What the exit status means stands with [the
codes](codes.md).

INPUT is a folder (any depth, many patients, no file endings needed), DICOM files, a DICOMDIR
tree, a zip, or a NIfTI, NRRD or MHA volume.
"""


def page() -> str:
    """Give the page."""
    parts = [_HEAD]
    for name, parser in parsers().items():
        about = parser.description or ""
        parts += [f"## `miliary {name}`", "", sentence(about), ""]
        parts += [fence("text", usage(parser)), "", _options(parser), ""]
        parts += ["Examples:", ""]
        for line, meaning in EXAMPLES[name]:
            parts += [f"{sentence(meaning)[:-1]}:", "", fence("console", line), ""]
    return "\n".join(parts)


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Give the parser of every command by its name."""
    for action in make_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def usage(parser: argparse.ArgumentParser) -> str:
    """Give the line of usage, broken as a page is wide."""
    formatter = argparse.HelpFormatter(prog=parser.prog, width=96)
    formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups, prefix="")
    return formatter.format_help().strip()


def options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Give every argument but `--help`."""
    return [action for action in parser._actions if action.dest != "help"]


def _options(parser: argparse.ArgumentParser) -> str:
    formatter = parser._get_formatter()
    rows = []
    for action in options(parser):
        shown = action.metavar or action.dest
        words = " ".join(shown) if isinstance(shown, tuple) else shown
        takes = "" if action.nargs == 0 else f" {words}"
        name = action.option_strings[0] + takes if action.option_strings else words
        needed = " Required." if action.required and action.option_strings else ""
        rows.append([code(cell(name)), sentence(formatter._expand_help(action)) + needed])
    return table(["argument", "meaning"], rows)
