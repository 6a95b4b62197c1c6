"""The documentation names all there is, and nothing that is not there."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.machinery
import importlib.util
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import miliary
from generate import PAGES, asked, codes, commands, copies, examples, outputs, settings, validation
from miliary.cli.examples import EXAMPLES
from miliary.cli.main import COMMANDS, make_parser
from miliary.codes import CODES
from miliary.config import Config

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "pipeline" / "miliary"
WRITTEN = sorted(DOCS.glob("*.md"))
DOCUMENTS = [*WRITTEN, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md"))]
CODE = re.compile(r"^(OK|(E|W|SKIP)_[A-Z0-9_]+)$")
#: Of a line of a shell, what follows belongs to the shell.
SHELL = {">", "|", "||", "&&", ";", "2>"}


#: Of blocks in documents; `console` and `bash` are tried by `scripts/docs --commands`.
LANGUAGES = {"console", "bash", "python", "text", "toml", "yaml"}


@functools.cache
def try_documents():
    """Give the script that runs what documents tell to type, as a module."""
    path = str(ROOT / "scripts" / "try_documents")
    loader = importlib.machinery.SourceFileLoader("try_documents", path)
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader("try_documents", loader)
    )
    sys.modules["try_documents"] = module
    loader.exec_module(module)
    return module


def names(paths):
    return [path.relative_to(ROOT).as_posix() for path in paths]


def fences(text, *languages):
    """Give the blocks of code of these languages."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL)
    return [code for _, language, code in found if language in languages]


def anchors(text):
    """Give the labels of a page, and the slugs of its headings."""
    slugs = {
        re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    return slugs | set(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE))


def page_text(path):
    """Give a page of docs/, be it written or made."""
    if path.parent == DOCS / "reference":
        return PAGES[path.stem]() if path.stem in PAGES else None
    return path.read_text("utf-8") if path.exists() else None


# What is there is named.


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_named_and_explained(command):
    (section,) = re.findall(
        rf"^## `miliary {command}`$(.*?)(?=^## |\Z)", commands.page(), re.M | re.S
    )
    for action in commands.options(commands.parsers()[command]):
        name = action.option_strings[0] if action.option_strings else action.metavar
        assert action.help, f"{command} {name} has no help"
        assert re.search(rf"^\| `{re.escape(name)}\b[^`]*` \| \S", section, re.MULTILINE), name


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_ends_with_examples(command):
    text = commands.parsers()[command].format_help()
    assert EXAMPLES[command]
    for line, meaning in EXAMPLES[command]:
        assert line in text
        assert meaning in text


def test_the_help_of_all_says_where_to_begin():
    text = " ".join(make_parser().format_help().split())
    assert "Begin with `miliary demo`" in text
    assert "`miliary COMMAND --help`" in text


def test_every_setting_is_named_with_its_meaning():
    text = settings.page()
    for name in settings.names(Config()):
        section, key = name.split(".")
        (part,) = re.findall(rf"^## `{section}`$(.*?)(?=^## |\Z)", text, re.M | re.S)
        assert re.search(rf"^\| `{key}` \| `[^`]+` \|[^|]*\| \w", part, re.MULTILINE), name


def test_every_column_is_named_with_its_meaning():
    text = outputs.tables_page()
    for column in outputs.columns():
        assert re.search(rf"^\| `{column.name.split('/')[1]}` \| \w[^|]*\| \w", text, re.MULTILINE)


def test_every_key_is_named():
    text = outputs.summary_page()
    keys = [key.name for key in outputs.summary_keys()]
    assert {"miliary.criteria[].limit", "lungs.right.rind.mean_mm", "size.cv"} <= set(keys)
    assert all(f"| `{name}` |" in text for name in keys)


def test_every_number_is_explained_in_a_section_of_its_own():
    where = outputs.sections()
    keys = [*outputs.columns(), *outputs.summary_keys()]
    missing = [k.name for k in keys if k.is_number and not outputs.anchor_of(k.name, where)]
    assert not missing, "name them in an `Explains` line of docs/numbers.md"


def test_what_is_explained_is_there():
    keys = [key.name for key in (*outputs.columns(), *outputs.summary_keys())]
    for name in outputs.sections():
        assert any(outputs.anchor_of(key, {name: "there"}) for key in keys), name


def test_every_code_of_the_package_has_a_cure_and_no_other_is_told():
    used = {"OK", "E_MILIARY"}
    faults, allowed = set(), set()
    for path in PACKAGE.rglob("*.py"):
        if path.name == "codes.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                used |= {node.value} if CODE.match(node.value) else set()
            # Faults of the spacing bear their name without `E_`, or `W_` where they are mended.
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Fault":
                faults.add(node.args[0].value)
                allowed |= {node.args[0].value} if len(node.args) > 2 else set()
    used |= {f"E_{name}" for name in faults} | {f"W_{name}" for name in allowed}
    assert set(CODES) == used


def test_every_code_is_in_the_documentation_with_its_cure():
    text = codes.page()
    for name in set(CODES) - {"OK"}:
        assert re.search(rf"^\| `{name}` \| \w[^|]+ \| \W*\w[^|]+ \|$", text, re.MULTILINE), name


def test_every_page_is_in_the_contents():
    text = (DOCS / "index.md").read_text("utf-8")
    listed = {
        line for block in re.findall(r"```\{toctree\}\n(.*?)```", text, re.S)
        for line in block.splitlines() if line and not line.startswith(":")
    }  # fmt: skip
    pages = {path.stem for path in WRITTEN} - {"index"} | {f"reference/{name}" for name in PAGES}
    assert listed == pages


def test_results_of_benchmarks_become_tables_with_their_command(tmp_path, monkeypatch):
    result = {
        "name": "spatial-type-i", "says": "How often.",
        "made": {"command": "scripts/bench spatial type-i", "commit": "abc1234", "day": "today",
                 "cores": 2, "python": "3.11.7", "versions": {"numpy": "2.3"}},
        "tables": [{"title": "Level", "heads": ["test", "rate"], "rows": [["L|G", "5 %"]],
                    "note": "2,000 patterns."},
                   {"title": "What was asked, in lungs", "rows": [["level", "5 %", "4.9 %", "yes"]],
                    "heads": ["what", "asked", "measured", "met"]}],
    }  # fmt: skip
    (tmp_path / "spatial-type-i.json").write_text(json.dumps(result))
    monkeypatch.setattr(validation, "RESULTS", tmp_path)
    text = validation.page()
    parts = (
        "## Statistics of place",
        "### Spatial type i",
        "| L\\|G | 5 % |",
        "`scripts/bench spatial type-i`",
        "`abc1234`",
        "2,000 patterns.",
        "| [Spatial type i](#spatial-type-i), in lungs | level | 5 % | 4.9 % | yes |",
    )
    for part in parts:
        assert part in text


def test_what_was_asked_is_judged_both_ways():
    def kept(*cells):
        rows = [[asked.LEFT, "1.6-2.2", *cells], [asked.PHANTOMS, "1.6-2.2", "0.1", "0.1"]]
        heads = ["scan", "mm", "at 3 a litre", "at 10 a litre"]
        table = {"title": "Sensitivity, three seeds", "heads": heads, "rows": rows}
        return {"detection-sensitivity": {"tables": [table]}}

    (at_10,) = (one for one in asked.ALL if "1.6-2.2 mm at 10" in one.what and "real" in one.what)
    assert at_10.judge(kept("-", "0.91 (0.8-1.0)"))[1:] == ["at least 0.90", "0.910", "yes"]
    assert at_10.judge(kept("-", "0.89 (0.8-1.0)"))[2:] == ["0.890", "**no**"]
    assert at_10.judge({})[2:] == ["-", ""]


@pytest.mark.parametrize(
    ("limit", "measured", "said"),
    [("at least 95 %", "19/20 = 95.0% (75% to 100%)", "yes"), ("at least 0.9", "0.89", "**no**"),
     ("at most 1 %", "1/50 = 2.0%", "**no**"), ("at most 5 s", "4.9 s", ""), ("", "3", "")],
)  # fmt: skip
def test_a_limit_in_words_is_held_against_the_first_number(limit, measured, said):
    assert asked.met(limit, measured) == said


# What is named is there.


@pytest.mark.parametrize("document", names(DOCUMENTS))
def test_links_and_anchors_lead_somewhere(document):
    path = ROOT / document
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.S)
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        other = (path.parent / file).resolve() if file else path
        if other.suffix != ".md":
            assert other.exists(), target
            continue
        content = page_text(other)
        assert content is not None, target
        assert not anchor or anchor in anchors(content), target


def lines_of_commands():
    """Give every line of a shell in the documents that calls `miliary`, with its document."""
    for path in DOCUMENTS:
        for block in fences(path.read_text("utf-8"), "", "console", "bash"):
            for line in block.replace("\\\n", " ").splitlines():
                for call in re.findall(r"(?:^|srun |; )miliary (?!\w+:)[^;]*", line.strip()):
                    yield path.relative_to(ROOT).as_posix(), call.removeprefix("srun ").lstrip("; ")


@pytest.mark.parametrize(("document", "line"), [*lines_of_commands()])
def test_every_command_line_of_the_documents_is_one(document, line):
    words = shlex.split(line.replace("$SLURM_ARRAY_TASK_ID", "1").replace("$FILE", "file"))
    words = words[: next((k for k, word in enumerate(words) if word in SHELL), None)]
    make_parser().parse_args(words[1:])


@pytest.mark.parametrize("command", EXAMPLES)
def test_every_example_of_the_help_is_a_command_line(command):
    for line, _ in EXAMPLES[command]:
        words = shlex.split(line.partition(" > ")[0])
        assert words[:2] == ["miliary", command]
        make_parser().parse_args(words[1:])


def test_every_command_has_examples():
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("document", names(DOCUMENTS))
def test_every_block_says_what_it_is_so_that_commands_are_tried(document):
    text = (ROOT / document).read_text("utf-8")
    told = re.findall(r"^ *```(.+)$", text, re.MULTILINE)
    assert len(told) == len(re.findall(r"^ *```$", text, re.MULTILINE)), "name each language"
    assert {word for word in told if word[0] != "{"} <= LANGUAGES
    for block in try_documents().blocks_of(document):
        assert block.mark in ("", "slow", "not run")
        assert bool(block.mark) == bool(block.why)
        if block.language in ("console", "bash"):
            syntax = ["bash", "-n", "-c", block.code]
            subprocess.run(syntax, check=True, capture_output=True)
        if block.language == "yaml":
            assert yaml.safe_load(block.code)
    for block in fences(text, "toml"):
        tomllib.loads(block)


def test_a_mark_belongs_to_the_block_after_it(tmp_path, monkeypatch):
    tried = try_documents()
    monkeypatch.setattr(tried, "ROOT", tmp_path)
    (tmp_path / "page.md").write_text(
        "```text\nno command\n```\n<!-- not run: no podman -->\n```console\npodman run\n```\n"
        "words\n\n1. thing:\n\n   ```console\n   miliary demo\n   ```\n"
    )
    first, second = tried.blocks_of("page.md")
    assert (first.mark, first.why, first.code) == ("not run", "no podman", "podman run\n")
    assert (second.mark, second.line, second.code) == ("", 12, "miliary demo\n")


def blocks_of_python():
    for path in DOCUMENTS:
        for k, block in enumerate(fences(path.read_text("utf-8"), "python")):
            yield pytest.param(block, id=f"{path.name}-{k}")


@pytest.mark.parametrize("block", [*blocks_of_python()])
def test_python_of_the_documents_uses_what_exists(block):
    tree = ast.parse(block)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("miliary"):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "miliary":
                assert node.attr in miliary.__all__
            if node.value.id == "result":
                known = {*dir(miliary.Analysis), *miliary.Analysis.__dataclass_fields__}
                assert node.attr in known


def test_settings_that_documents_name_exist():
    known = settings.names(Config())
    sections = {name.split(".")[0] for name in known}
    for path in WRITTEN:
        for section, key in re.findall(r"[`=\s](\w+)\.([a-z]\w+)[`=]", path.read_text("utf-8")):
            # `size.cv` and the like are keys of summary.json; a section has its own name.
            if section in sections - {"pattern", "lungs", "fissures"} and key not in ("md", "html"):
                assert f"{section}.{key}" in known, f"{path.name}: {section}.{key}"


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks" / "results").glob("*.json")))
def test_a_kept_result_says_how_it_was_made_and_has_a_subject(path):
    result = json.loads(path.read_text("utf-8"))
    assert result["name"] == path.stem
    assert result["made"]["command"].startswith("scripts/bench ")
    assert validation.subject_of(path.stem) in validation.SUBJECTS
    for one in result["tables"]:
        assert all(len(row) == len(one["heads"]) for row in one["rows"])


def test_the_figures_of_the_readme_are_those_that_were_kept():
    path = ROOT / "benchmarks" / "results" / "inserted.json"
    if not path.exists():
        pytest.skip("benchmarks/inserted.py --keep was not run yet")
    told = (ROOT / "README.md").read_text("utf-8")
    for row in json.loads(path.read_text("utf-8"))["tables"][0]["rows"]:
        assert re.sub(" +", " ", f"| {' | '.join(row)} |") in told


def test_a_copied_document_leads_to_pages():
    text = copies.PAGES["architecture"]()
    assert "](../index.md)" in text
    assert "](contributing.md)" in text
    assert not re.search(r"\]\((README|CONTRIBUTING)\.md", text)


def test_pages_are_written_once(tmp_path, monkeypatch):
    from generate import write_pages

    (tmp_path / "gone.md").write_text("of yesterday")
    assert {path.stem for path in write_pages(tmp_path)} == set(PAGES)
    assert write_pages(tmp_path) == []
    assert not (tmp_path / "gone.md").exists()


def test_examples_are_shown_with_their_code():
    text = examples.page()
    assert len(examples.scripts()) >= 4
    for path in examples.scripts():
        assert f"`docs/examples/{path.name}`" in text
        assert path.read_text("utf-8").rstrip().splitlines()[-1] in text
