"""The templates of the pages: every value is escaped, and nothing from outside can run."""

from __future__ import annotations

import base64
import functools
import hashlib

from jinja2 import Environment, PackageLoader, StrictUndefined

from miliary.report import words


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
        trim_blocks=True,
        lstrip_blocks=True,
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
