"""What holds the repository together: documents, configuration, layout and dependencies."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import miliary
from miliary.cli.main import COMMANDS, main
from miliary.config import Config, config_toml
from miliary.nodules import NODULE_COLUMNS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pipeline" / "miliary"
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md")
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))
FOLDERS = ("benchmarks", "configs", "docs", "pipeline", "sample_data", "scripts", "tests")
#: What tools look for at the top.
FOR_TOOLS = ("CITATION.cff", "Containerfile", "LICENSE", "pyproject.toml")
CONTRACT_COMMANDS = {"run", "series", "compare", "phantom", "score", "config", "demo"}
#: Steps on plain arrays, and the two lines of the whole way.
API = {
    "compare",
    "read", "analyze", "segment", "detect", "measure", "describe_sizes", "describe_distribution",
    "make_phantom", "score",
}  # fmt: skip
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
#: Needed without being imported: the codec is found by pydicom.
PLUGINS = {"pyjpegls"}
DIST_INFO = f"miliary-{miliary.__version__}.dist-info"


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_the_commands_of_the_contract_are_offered():
    assert set(COMMANDS) >= CONTRACT_COMMANDS


def test_the_readme_lists_the_commands_and_no_others():
    named = set(re.findall(r"^\| `miliary (\w+)", read("README.md"), re.MULTILINE))
    assert named == set(COMMANDS)


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_every_command_has_help(command, capsys):
    assert main([*command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(" ".join(["usage: miliary", *command]))


def test_help_imports_no_heavy_package():
    code = (
        "import sys\n"
        "from miliary.__main__ import main\n"
        "sys.argv = ['miliary', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'scipy', 'skimage', 'SimpleITK', 'pydicom', 'highdicom',"
        " 'matplotlib', 'distributed'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stderr.strip().splitlines()[-1] == "[]"


def test_the_public_names_of_the_contract_are_there():
    assert set(miliary.__all__) >= API
    assert all(callable(getattr(miliary, name)) for name in API)


def test_every_public_name_is_told_how_to_use():
    told = read("docs/python.md") + read("docs/serial.md") + read("docs/spatial.md")
    names = {name for name in miliary.__all__ if not name.startswith("_")}
    assert {name for name in names if not re.search(rf"\b{name}\b", told)} == set()


def test_the_example_of_the_readme_uses_names_that_exist():
    (example,) = re.findall(r"```python\n(.*?)```", read("README.md"), re.DOTALL)
    ast.parse(example)
    used = set(re.findall(r"\bmiliary\.(\w+)\(", example))
    assert used
    assert used <= set(miliary.__all__)
    assert set(re.findall(r"\bresult\.(\w+)", example)) <= {
        *dir(miliary.Analysis),
        *miliary.Analysis.__dataclass_fields__,
    }


def test_default_configuration_file_is_what_the_settings_say():
    assert read("configs/default.toml") == config_toml(Config()), "run scripts/make_configs"


def test_nodule_columns_are_frozen():
    assert NODULE_COLUMNS == (
        "nodule", "x_mm", "y_mm", "z_mm", "diameter_mm", "diameter_se_mm", "contrast_hu", "score",
        "lung", "lobe", "zone", "pleura_mm", "fissure_mm", "vessel_mm", "micronodule",
    )  # fmt: skip


def test_every_module_is_in_the_architecture():
    modules = {found.name for found in pkgutil.iter_modules(miliary.__path__)} - {"__main__"}
    named = set(re.findall(r"`(\w+)`", read("ARCHITECTURE.md")))
    assert modules - named == set()


@pytest.mark.parametrize("name", [*DOCUMENTS, "benchmarks/README.md"])
def test_links_between_documents_lead_somewhere(name):
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", read(name))
    missing = {t for t in targets if not ((ROOT / name).parent / t).exists()}
    assert not missing


@pytest.mark.parametrize("name", [*DOCUMENTS, "benchmarks/README.md", *PAGES])
def test_scripts_and_files_that_documents_name_exist(name):
    named = set(
        re.findall(r"\b((?:scripts|configs|benchmarks|tests|sample_data)/[\w./]*\w)", read(name))
    )
    named |= {
        f"benchmarks/{word}.py" for word in re.findall(r"scripts/bench ([a-z]\w*)", read(name))
    }
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_the_top_level_holds_the_house_and_nothing_else():
    if not shutil.which("git"):
        pytest.skip("needs git")
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("needs a git checkout")
    tracked = {line.split("/")[0] for line in listing.stdout.splitlines()}
    visible = {name for name in tracked if not name.startswith(".")}
    assert visible <= {*DOCUMENTS, *FOLDERS, *FOR_TOOLS}
    assert all((ROOT / name).exists() for name in (*DOCUMENTS, *FOLDERS, *FOR_TOOLS))


@pytest.mark.parametrize("name", ["demo", "test", "check", "bench", "docs", "../.ci/run"])
def test_the_house_scripts_can_be_run(name):
    assert os.access(ROOT / "scripts" / name, os.X_OK)


def test_the_version_is_told_once_everywhere():
    assert miliary.__version__ == PROJECT["version"]
    assert f"\nversion: {miliary.__version__}\n" in read("CITATION.cff")
    assert re.search(rf"^## {re.escape(miliary.__version__)}\b", read("CHANGELOG.md"), re.MULTILINE)


def built(kind, folder, source=ROOT):
    pytest.importorskip("hatchling")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)],
        cwd=source, check=True, capture_output=True,
    )  # fmt: skip
    (made,) = folder.iterdir()
    return made


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path):
    wheel = built("wheel", tmp_path)
    held = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in held} == {"miliary", DIST_INFO}
    # Not only code: templates of the report, the weights of the detector, the marker of typing.
    packaged = {p.relative_to(PACKAGE.parent).as_posix() for p in package_files()}
    assert packaged == {name for name in held if not name.startswith(f"{DIST_INFO}/")}
    assert {"miliary/py.typed", "miliary/weights/detector.npz"} <= packaged
    licences = {Path(name).name for name in held if name.startswith(f"{DIST_INFO}/licenses/")}
    assert licences == {"LICENSE", "fissure_prior.LICENSE.txt"}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a git checkout")
def test_the_source_distribution_builds_the_same_wheel(tmp_path):
    with tarfile.open(built("sdist", tmp_path / "sdist")) as file:
        file.extractall(tmp_path, filter="data")
    (source,) = tmp_path.glob("miliary-*")
    wheels = built("wheel", tmp_path / "one"), built("wheel", tmp_path / "two", source)
    one, two = ({i.filename: i.CRC for i in zipfile.ZipFile(w).infolist()} for w in wheels)
    assert one == two


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a git checkout")
def test_the_source_distribution_holds_what_it_takes_to_build(tmp_path):
    archive = built("sdist", tmp_path)
    with tarfile.open(archive) as file:
        held = {name.partition("/")[2] for name in file.getnames()}
    needed = {p.relative_to(ROOT).as_posix() for p in package_files()}
    assert {*needed, "pyproject.toml", "LICENSE", "README.md", "CITATION.cff"} <= held
    # Scans and their masks stay in the repository, made pages anywhere else.
    assert not {name for name in held if name.startswith(("sample_data", "docs/reference"))}


def package_files() -> list[Path]:
    return [p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts]


def imported_packages() -> set[str]:
    """Names of the packages from outside that the modules import, wherever they do."""
    names = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"miliary"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[ \[<>=!~;]", name)[0]).lower()


def distributions_of(packages: set[str]) -> set[str]:
    known = importlib.metadata.packages_distributions()
    return {normal(known[name][0]) if name in known else name for name in packages}


def test_what_is_imported_is_declared_and_the_other_way_round():
    declared = {normal(text) for text in PROJECT["dependencies"]}
    extras = {
        normal(text)
        for extra in ("frames", "parquet")
        for text in PROJECT["optional-dependencies"][extra]
    }
    imported = distributions_of(imported_packages())
    assert imported - declared - extras == set()
    assert declared - imported - PLUGINS == set()


def test_no_dependency_is_under_the_gpl():
    """The LGPL is allowed, the GPL is not: it would bind whoever passes the package on."""
    for text in PROJECT["dependencies"]:
        fields = importlib.metadata.metadata(normal(text))
        told = [
            fields.get("License-Expression") or "",
            # Some put the whole text here, and it quotes the licences of compilers.
            (fields.get("License") or "")[:60],
            *(fields.get_all("Classifier") or []),
        ]
        licence = " ".join(told).replace("LGPL", "").replace("Lesser General Public", "")
        assert not re.search(r"\bA?GPL|General Public License", licence), text


def test_every_setting_says_what_it_means():
    bare = [
        line for line in config_toml(Config()).splitlines() if re.fullmatch(r"# *(\(.*\))?", line)
    ]
    assert not bare


def test_every_module_can_be_imported():
    for found in pkgutil.walk_packages(miliary.__path__, "miliary."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)


def test_the_container_installs_the_package_and_runs_it_without_rights():
    lines = read("Containerfile").splitlines()
    words = {line.split()[0]: line for line in lines if line and line[0].isupper()}
    assert words["ENTRYPOINT"] == 'ENTRYPOINT ["miliary"]'
    assert words["USER"].split()[1] not in ("0", "root")
    assert lines.index(words["USER"]) < lines.index(words["ENTRYPOINT"])
    copied = [
        line.split()[1:-1] for line in lines if line.startswith("COPY") and "--from" not in line
    ]
    kept = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
    # What is copied must not be ignored, and must be there.
    assert {name.removeprefix("./") for names in copied for name in names} <= kept
    assert all((ROOT / name).exists() for name in kept)
