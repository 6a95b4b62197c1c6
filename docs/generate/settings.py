"""Every setting with its default, unit, meaning and source, from the dataclasses themselves."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from generate.markdown import code, sentence, table
from miliary.config import Config, config_toml
from miliary.phantom.spec import PhantomSpec

_HEAD = """# Every setting

Made of the settings in the code: `miliary config` prints the same as TOML. Name in a file of yours
only what differs, and give it by `--config FILE`; or change one by `--set section.key=value`:

```
miliary run scans --out result --config mine.toml --set pattern.numerous_per_l=60
```

```toml
# mine.toml
[pattern]
numerous_per_l = 60.0
```

An unknown key is refused, and the nearest known one is named. In Python:
`miliary.load_config("mine.toml")`, given to `miliary.analyze(volume, config)`. The configuration
of a run stands in `provenance.json` of each case, with its hash; the section `run` is not part of
the hash, as it changes no result.
"""

_PHANTOM = """# Wishes of a phantom

`miliary phantom` takes these by `--set table.key=value` or by `--config FILE`; the options of the
command are shortcuts to the commonest. `[[nodules]]` tables stand for mixtures.
"""


def page() -> str:
    """Give the page."""
    parts = [_HEAD, *sections(Config(), "## "), _PHANTOM.replace("# ", "## ", 1)]
    spec = PhantomSpec()
    parts += [*sections(spec, "### ")]
    return "\n".join(parts)


def sections(settings: Any, heading: str) -> list[str]:
    """Give a heading and a table for each section of settings."""
    texts = []
    for item in fields(settings):
        section = getattr(settings, item.name)
        if isinstance(section, tuple) and section:
            section = section[0]
        if not hasattr(section, "__dataclass_fields__"):
            continue
        about = (type(section).__doc__ or "").splitlines()[0]
        texts += [f"{heading}{code(item.name)}", "", about, "", _table(section), ""]
    return texts


def names(settings: Any) -> set[str]:
    """Give `section.key` of every setting."""
    return {
        f"{item.name}.{key.name}"
        for item in fields(settings)
        if hasattr(getattr(settings, item.name), "__dataclass_fields__")
        for key in fields(getattr(settings, item.name))
    }


def _table(section: Any) -> str:
    rows = [
        [
            code(item.name),
            code(_value(getattr(section, item.name))),
            item.metadata.get("unit", ""),
            sentence(item.metadata.get("doc", "")),
            item.metadata.get("source", ""),
        ]
        for item in fields(section)
    ]
    return table(["key", "default", "unit", "meaning", "source"], rows)


def _value(value: Any) -> str:
    """Print a default as TOML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


#: The whole configuration as it is printed, for whoever wants it in one piece.
def toml() -> str:
    """Give the default configuration."""
    return config_toml(Config())
