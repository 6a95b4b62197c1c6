"""Read, check, change and print the configuration."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import tomllib
import types
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from miliary.config.sections import Config
from miliary.errors import ConfigError

#: A frozen dataclass of settings, or of sections of them.
Settings = TypeVar("Settings")


def load_config(
    path: str | Path | None = None, overrides: Iterable[str] = (), base: Config | None = None
) -> Config:
    """Read a configuration file and apply `table.key=value` changes to it.

    Parameters
    ----------
    path : path or None
        A TOML file that names only what differs from the defaults.
    overrides : iterable of str
        Changes as given with `--set`, applied last, in order.
    base : Config or None
        What to start from; the defaults unless given.

    Returns
    -------
    Config
        Checked: every key known, every value of its type.

    Raises
    ------
    ConfigError
        For a file that cannot be read, an unknown key, or a value of the wrong type.
    """
    return load_settings(Config() if base is None else base, path, overrides)


def load_settings(
    settings: Settings, path: str | Path | None = None, overrides: Iterable[str] = ()
) -> Settings:
    """Change settings of any kind by a file and by `table.key=value` changes.

    Parameters
    ----------
    settings : dataclass
        What to start from.
    path : path or None
        A TOML file that names only what differs.
    overrides : iterable of str
        Changes, applied last, in order.

    Returns
    -------
    dataclass
        The changed ones, of the same class.

    Raises
    ------
    ConfigError
        As `load_config`.
    """
    if path is not None:
        settings = update_config(settings, _read_toml(Path(path)))
    # All at once: two settings may only be right together.
    changes: dict[str, dict[str, Any]] = {}
    for override in overrides:
        for section, values in _parse_override(override).items():
            changes.setdefault(section, {}).update(values)
    return update_config(settings, changes)


def update_config(config: Settings, tables: Mapping[str, Any]) -> Settings:
    """Give a configuration with some values changed.

    Parameters
    ----------
    config : dataclass
        What to start from: a `Config`, or other sections of settings.
    tables : mapping of str to mapping
        Section to key to value.

    Returns
    -------
    dataclass
        The changed one, of the same class.

    Raises
    ------
    ConfigError
        For an unknown key or a value of the wrong type.
    """
    changed: Settings = _updated(config, tables, "")
    return changed


def config_toml(config: Config) -> str:
    """Print a configuration as commented TOML that `load_config` reads back unchanged.

    Parameters
    ----------
    config : Config
        What to print.

    Returns
    -------
    str
        TOML text, each key under a comment with its meaning, unit and source.
    """
    return settings_toml(
        config, "miliary: the effective configuration. A file of yours needs only what differs."
    )


def settings_toml(settings: Any, heading: str) -> str:
    """Print settings of any kind as commented TOML that `load_settings` reads back unchanged.

    Parameters
    ----------
    settings : dataclass
        Plain values, sections, and tuples of sections (arrays of tables).
    heading : str
        First line.

    Returns
    -------
    str
        TOML text.
    """
    lines = [f"# {heading}"]
    values = {item.name: getattr(settings, item.name) for item in fields(settings)}
    # TOML takes a plain value after a table for one of the table's.
    lines += [f"{k} = {_toml_value(v)}" for k, v in values.items() if not _is_section(v)]
    for name, value in values.items():
        if is_dataclass(value):
            lines += ["", *_section_toml(value, f"[{name}]")]
        elif _is_section(value):
            for part in value:
                lines += ["", *_section_toml(part, f"[[{name}]]")]
    return "\n".join(lines) + "\n"


def _is_section(value: Any) -> bool:
    """Whether a value is a section of settings, or several."""
    return is_dataclass(value) or (
        isinstance(value, tuple) and len(value) > 0 and all(map(is_dataclass, value))
    )


def _section_toml(section: Any, header: str) -> list[str]:
    """Lines of one section, each key under its comment."""
    lines = [f"# {(type(section).__doc__ or '').splitlines()[0]}", header]
    for item in fields(section):
        lines += _comment(item.metadata)
        lines.append(f"{item.name} = {_toml_value(getattr(section, item.name))}")
    return lines


def config_hash(config: Config) -> str:
    """Give a short hash that is the same for configurations that give the same results.

    Parameters
    ----------
    config : Config
        Any configuration; its section `run` does not count.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    # Of the values alone: better words in a comment do not make it another configuration. Nor does
    # how cases are run: a longer time-out must not make a cohort start anew.
    sections = {name: keys for name, keys in config_dict(config).items() if name != "run"}
    values = json.dumps(sections, sort_keys=True)
    return hashlib.sha256(values.encode()).hexdigest()[:16]


def config_dict(config: Config) -> dict[str, dict[str, Any]]:
    """Give a configuration as plain nested dictionaries.

    Parameters
    ----------
    config : Config
        Any configuration.

    Returns
    -------
    dict
        Section to key to value.
    """
    return {
        section.name: {
            item.name: getattr(getattr(config, section.name), item.name)
            for item in fields(getattr(config, section.name))
        }
        for section in fields(config)
    }


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"the configuration file must be readable, got {path}: {error.strerror}; check --config"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the configuration must be TOML, got {path}: {error}") from error


def _parse_override(override: str) -> dict[str, Any]:
    """Turn `table.key=value` into nested dictionaries; a bare word is taken for a string."""
    name, equals, text = override.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot and section and key):
        raise ConfigError(f"--set must be table.key=value, got {override!r}")
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    return {section: {key: value}}


def _updated(node: Any, changes: Any, path: str) -> Any:
    if not isinstance(changes, Mapping):
        raise ConfigError(f"{path} must be a table of settings, got {changes!r}")
    hints = get_type_hints(type(node))
    new = {}
    for key, value in changes.items():
        name = f"{path}.{key}" if path else str(key)
        if key not in hints:
            raise ConfigError(f"{name} must be a known setting{_nearest(key, hints)}")
        current = getattr(node, key)
        new[key] = (
            _updated(current, value, name)
            if is_dataclass(current)
            else _checked(value, hints[key], name)
        )
    try:
        return replace(node, **new)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


def _nearest(key: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    return f", got {key!r}; " + (
        f"perhaps you meant {close[0]!r}" if close else f"known are {', '.join(names)}"
    )


def _checked(value: Any, hint: Any, name: str) -> Any:
    """Give the value if it is of the annotated type; whole numbers pass for floats."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        hint = next(option for option in inner if option is not type(None))
        return _checked(value, hint, name)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{name} must be a list, got {value!r}")
        if inner[-1] is not Ellipsis and len(value) != len(inner):
            raise ConfigError(f"{name} must hold {len(inner)} values, got {value!r}")
        make = inner[0]
        if is_dataclass(make) and isinstance(make, type):
            return tuple(_updated(make(), item, f"{name}[]") for item in value)
        return tuple(_checked(item, inner[0], f"{name}[]") for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{name} must be {hint.__name__}, got {value!r}")
    # Compared with a limit, NaN would quietly refuse every nodule.
    if hint is float and not math.isfinite(value):
        raise ConfigError(f"{name} must be a finite number, got {value!r}")
    return value


def _comment(metadata: Mapping[str, str]) -> list[str]:
    unit = f" ({metadata['unit']})" if metadata.get("unit") else ""
    lines = [f"# {metadata.get('doc', '')}{unit}"]
    if metadata.get("source"):
        lines.append(f"#   source: {metadata['source']}")
    return lines


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # TOML's basic strings are JSON's, but for one control character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    return repr(value)
