"""Everything that can go wrong by fault of input, usage or configuration.

A message reads `what must hold, got what; what to do`. Kernels raise ValueError instead: their
callers are code, not people.
"""


class MiliaryError(Exception):
    """A failure to tell the user in one sentence.

    Attributes
    ----------
    code : str
        A short stable name of the failure, as written to tables.
    """

    code = "E_MILIARY"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class UsageError(MiliaryError):
    """The command line or a call asks for something that cannot be."""

    code = "E_USAGE"


class ConfigError(MiliaryError):
    """A configuration key or value is unknown or out of range."""

    code = "E_CONFIG"


class InputError(MiliaryError):
    """The input holds nothing that can be read as a chest CT."""

    code = "E_INPUT"


class SeriesError(InputError):
    """One series cannot be read truthfully: its geometry or its values are not sound."""

    code = "E_SERIES"


class AnatomyError(MiliaryError):
    """The image is a sound volume, but no lung can be found in it."""

    code = "E_NO_LUNGS"


class CaseFolderError(MiliaryError):
    """A case folder cannot be written, or is not one that this tool wrote."""

    code = "E_CASE_FOLDER"


#: Exit status of the command line, as in the contract.
EXIT_DONE, EXIT_USAGE, EXIT_SOME_FAILED, EXIT_ALL_FAILED, EXIT_INTERRUPTED = 0, 1, 2, 3, 130


def exit_status(n_done: int, n_failed: int) -> int:
    """Give the exit status of a run that came to its end.

    Parameters
    ----------
    n_done, n_failed : int
        Cases.

    Returns
    -------
    int
        As in the contract.
    """
    if not n_failed:
        return EXIT_DONE
    return EXIT_SOME_FAILED if n_done else EXIT_ALL_FAILED
