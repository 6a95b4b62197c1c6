"""The templates of the pages: every value is escaped, and nothing from outside can run."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import importlib.util
import sys
from importlib import metadata
from pathlib import Path

from jinja2 import Environment, FileSystemBytecodeCache, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket

from miliary.report import words

#: Whether lines that hold nothing but a statement leave nothing behind.
_TRIMMED = True


@functools.cache
def environment() -> Environment:
    """Give the environment of the package's templates.

    Returns
    -------
    jinja2.Environment
        Autoescaping whatever a template is called, with the words of `miliary.report.words`
        as filters.
    """
    made = Environment(
        loader=PackageLoader("miliary.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        bytecode_cache=_Compiled(),
        trim_blocks=_TRIMMED,
        lstrip_blocks=_TRIMMED,
    )
    made.filters.update(
        number=words.number,
        short=words.short,
        ratio=words.ratio,
        percent=words.percent,
        p_value=words.p_value,
        label=words.label,
        plain=words.text,
    )
    made.globals.update(interval=words.interval, percent=words.percent, ratio=words.ratio)
    return made


class _Compiled(FileSystemBytecodeCache):
    """Compiled templates, where Python keeps this package's modules: they take 0.1 s to compile."""

    def __init__(self) -> None:
        folder = Path(importlib.util.cache_from_source(__file__)).parent
        super().__init__(str(folder), "template-%s.cache")

    def get_source_checksum(self, source: str) -> str:
        """Tell templates apart by their text, and by what else their code depends on."""
        return super().get_source_checksum(f"{metadata.version('jinja2')} {_TRIMMED}\n{source}")

    def load_bytecode(self, bucket: Bucket) -> None:
        """Find the code of a template, if it was kept."""
        with contextlib.suppress(OSError):
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code of a template where Python would keep that of a module."""
        if sys.dont_write_bytecode:
            return
        with contextlib.suppress(OSError):
            Path(self.directory).mkdir(parents=True, exist_ok=True)
            super().dump_bytecode(bucket)


def content_security_policy(style: str, script: str) -> str:
    """Write the policy of a page: its own style, its own script and inline images, no more.

    Parameters
    ----------
    style, script : str
        Names of the templates that the page includes whole as its style and its script.

    Returns
    -------
    str
        Content of the `Content-Security-Policy` meta element.
    """
    return (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; "
        f"script-src {_digest(script)}; base-uri 'none'; form-action 'none'"
    )


def _digest(name: str) -> str:
    # What a browser hashes is the element's text: the template as it is rendered into it.
    content = environment().get_template(name).render()
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
