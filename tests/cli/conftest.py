"""The command line with an analysis that takes no time."""

from command_line import cohort, command, fast, one_scan

__all__ = ["cohort", "command", "fast", "one_scan"]
