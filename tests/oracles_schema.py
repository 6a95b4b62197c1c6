"""The descriptions in the package, held against what is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from miliary.schemas import load_schema


def undescribed(summary: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "") -> list:
    """Name the keys of a summary that its schema does not describe."""
    schema = _followed(schema, root, summary)
    if isinstance(summary, dict):
        known, free = schema.get("properties", {}), "additionalProperties" in schema
        unknown = [] if free else [f"{at}.{key}" for key in summary if key not in known]
        return unknown + [
            name
            for key, value in summary.items()
            if key in known
            for name in undescribed(value, known[key], root, f"{at}.{key}")
        ]
    if isinstance(summary, list):
        return [
            name for item in summary for name in undescribed(item, schema["items"], root, f"{at}[]")
        ]
    return []


def check_summary(summary: dict[str, Any]) -> None:
    """Hold a summary against its schema, and its keys against those described."""
    schema = load_schema("summary")
    found = [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
        for error in Draft202012Validator(schema).iter_errors(summary)
    ]
    new = sorted(set(undescribed(summary, schema, schema)))
    assert not found
    assert not new, f"describe these keys in schemas/summary.schema.json: {new}"


def check_file(path: Path) -> None:
    """Hold a `summary.json` against its schema."""
    check_summary(json.loads(path.read_text("utf-8")))


def _followed(schema: dict[str, Any], root: dict[str, Any], value: Any) -> dict[str, Any]:
    """Follow references, and of alternatives take the one that is no null."""
    if "$ref" in schema:
        return _followed(root["$defs"][schema["$ref"].rpartition("/")[2]], root, value)
    if "anyOf" in schema and value is not None:
        others = [item for item in schema["anyOf"] if item.get("type") != "null"]
        return _followed(others[0], root, value)
    return schema
