"""Pictures as part of a page."""

from __future__ import annotations

import base64


def data_uri(content: bytes, kind: str) -> str:
    """Write bytes as a data URI.

    Parameters
    ----------
    content : bytes
        The file.
    kind : str
        Its media type.

    Returns
    -------
    str
        `data:kind;base64,...`.
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
