"""Every column and every key of the results, from the schemas; linked to how it is computed."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from generate.markdown import code, sentence, table
from miliary.schemas import load_schema

NUMBERS = Path(__file__).resolve().parents[1] / "numbers.md"

_TABLES_HEAD = """# Every column

Made of the descriptions that come with the package (CSV on the Web):
`miliary.schemas.load_schema` gives them as `"case"`, `"cohort"` and `"comparison"`. Tables are
UTF-8, with a comma, a full stop and one line of heads; a cell that cannot be known is empty.
*How* leads to formula and source.
"""

_SUMMARY_HEAD = """# Every key of `summary.json`

Made of the JSON schema that comes with the package (`miliary.schemas.load_schema("summary")`, draft
2020-12). A key that cannot be known is null, never invented; `[]` stands for each item of a list.
*How* leads to formula and source.
"""


class Key(NamedTuple):
    """A key of `summary.json`, or a column as `table.csv/column`."""

    name: str
    kind: str
    about: str

    @property
    def is_number(self) -> bool:
        """Whether it holds a number, or several, so that a formula is due."""
        return bool({"number", "integer"} & set(re.findall(r"\w+", self.kind)))


def tables_page() -> str:
    """Give the page of the tables."""
    where, parts = sections(), [_TABLES_HEAD]
    for name in ("cohort", "case", "comparison"):
        for described in load_schema(name)["tables"]:
            url = described["url"]
            parts += [f"## `{url}`", "", described["dc:description"], ""]
            rows = [
                [code(key.name.split("/")[1]), key.kind, sentence(key.about), how(key.name, where)]
                for key in columns_of(described)
            ]
            parts += [table(["column", "holds", "meaning", "how"], rows), ""]
    return "\n".join(parts)


def summary_page() -> str:
    """Give the page of `summary.json`."""
    where, parts, group = sections(), [_SUMMARY_HEAD], ""
    rows: list[list[str]] = []
    heads = ["key", "holds", "meaning", "how"]
    for key in summary_keys():
        if key.name.split(".")[0].removesuffix("[]") != group:
            parts += [table(heads, rows), ""] if rows else []
            group, rows = key.name.split(".")[0].removesuffix("[]"), []
            parts += [f"## `{group}`", ""]
        rows.append([code(key.name), key.kind, sentence(key.about), how(key.name, where)])
    return "\n".join([*parts, table(heads, rows), ""])


def columns() -> list[Key]:
    """Give every column of every table."""
    return [
        key
        for name in ("cohort", "case", "comparison")
        for described in load_schema(name)["tables"]
        for key in columns_of(described)
    ]


def columns_of(described: dict[str, Any]) -> list[Key]:
    """Give the columns of one table."""
    keys = []
    for column in described["tableSchema"]["columns"]:
        held = column["datatype"]
        kind = held if isinstance(held, str) else held["format"].replace("|", ", ")
        keys.append(Key(f"{described['url']}/{column['name']}", kind, column["dc:description"]))
    return keys


def summary_keys() -> list[Key]:
    """Give every key of `summary.json` that the schema describes, in its order."""
    schema = load_schema("summary")
    return [key for key in _walk(schema, "", schema["$defs"], "") if key.name]


def _walk(node: dict[str, Any], name: str, shared: dict[str, Any], about: str) -> Iterator[Key]:
    if "$ref" in node:
        node = {**shared[node["$ref"].rpartition("/")[2]], **node}
    options = [option for option in node.get("anyOf", ()) if option.get("type") != "null"]
    about = node.get("description", about)
    if options:
        yield from _walk(options[0], name, shared, about)
        return
    inner = node.get("properties", {})
    items = node.get("items", {})
    yield Key(name, _kind(node), about)
    for key, value in inner.items():
        yield from _walk(value, f"{name}.{key}" if name else key, shared, "")
    if "properties" in items or "$ref" in items:
        yield from (key for key in _walk(items, f"{name}[]", shared, "") if key.name != f"{name}[]")


def _kind(node: dict[str, Any]) -> str:
    if "enum" in node:
        return ", ".join("null" if value is None else str(value) for value in node["enum"])
    kind = node.get("type", "")
    kinds = [kind] if isinstance(kind, str) else list(kind)
    if kinds == ["array"]:
        items = node.get("items", {})
        if "properties" in items or "$ref" in items:
            return "list"
        return f"list of {_kind(items) or 'values'}"
    return " or ".join(kinds)


def sections() -> dict[str, str]:
    """Give, of `numbers.md`, each name that a section explains and the anchor of the section.

    A section says what it explains in a line that begins with `Explains`.
    """
    explained: dict[str, str] = {}
    anchor = ""
    for line in NUMBERS.read_text("utf-8").split("\n\n"):
        heading = re.match(r"\(([\w-]+)\)=", line.strip())
        if heading:
            anchor = heading[1]
        if line.startswith("Explains "):
            explained |= dict.fromkeys(re.findall(r"`([^`]+)`", line), anchor)
    return explained


def anchor_of(name: str, where: dict[str, str]) -> str:
    """Give the anchor of the section that explains a name; empty for none."""
    plain = name.replace("[]", "")
    for pattern, anchor in where.items():
        if fnmatch.fnmatchcase(plain, pattern.replace("[]", "")):
            return anchor
    return ""


def how(name: str, where: dict[str, str]) -> str:
    """Give the link to what explains a name; empty for none."""
    anchor = anchor_of(name, where)
    return f"[how](../numbers.md#{anchor})" if anchor else ""
