"""One repository, right pins everywhere: every set of pins resolves, on each system and Python that README names.

uv resolves as for another system: markers of dependencies too are read with that system's values. pip reads them
with the Python that runs it, so it is asked for the pins alone, each after its marker was read here.
"""

import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from packaging.markers import Marker

from tests.conftest import ROOT

FILE = ROOT / "requirements.txt"
PYTHONS = ("3.11", "3.12", "3.13")
SYSTEMS = {
    "Linux": "x86_64-manylinux_2_28",
    "Linux on ARM": "aarch64-manylinux_2_28",
    "Windows": "x86_64-pc-windows-msvc",
    "macOS 14 on Apple silicon": "aarch64-apple-darwin",
}
# Beside requirements.txt, in the same pip command; as build logs of Spaces with ZeroGPU show it (September 2026).
SPACE = ("torch<=2.13.0", "uvicorn>=0.14.0", "websockets>=10.4", "spaces==0.51.3")
SPACE_PYTHON = "3.12"
# pip takes a wheel's tag word for word: "manylinux_2_28" does not bring the older ones along.
TAGS = ("2_28", "2_27", "2_26", "2_24", "2_17", "2_12", "2_5")
OLD_TAGS = ("manylinux2014", "manylinux2010", "manylinux1")
PIP_TAGS = {
    "Linux": [f"manylinux_{tag}_x86_64" for tag in TAGS] + [f"{tag}_x86_64" for tag in OLD_TAGS],
    "Windows": ["win_amd64"],
    "macOS 14 on Apple silicon": [
        f"macosx_{n}_{kind}"
        for n in ("14_0", "13_0", "12_0", "11_0")
        for kind in ("arm64", "universal2")
    ]
    + [f"macosx_10_{n}_universal2" for n in range(16, 8, -1)],
}


def lines() -> list[str]:
    """The requirements of requirements.txt, without comments."""
    rows = (row.partition("#")[0].strip() for row in FILE.read_text(encoding="utf-8").splitlines())
    return [row for row in rows if row]


def pin(name: str, python: str) -> str:
    """The version that one Python gets."""
    choice = []
    for line in lines():
        requirement, _, marker = line.partition(";")
        if requirement.startswith(f"{name}==") and (
            not marker or Marker(marker.strip()).evaluate({"python_version": python})
        ):
            choice.append(requirement.partition("==")[2].strip())
    assert len(choice) == 1, f"{name} for Python {python}: {choice}"
    return choice[0]


def space_requirements() -> list[str]:
    """What a Space's builder installs: this repository's pins and its own, with Gradio's two extras."""
    return [*lines(), f"gradio[oauth,mcp]=={pin('gradio', SPACE_PYTHON)}", *SPACE]


def test_each_python_gets_one_torch_and_zero_gpu_one_that_it_has():
    assert {python: pin("torch", python) for python in PYTHONS} == {
        "3.11": "2.13.0",
        "3.12": "2.10.0",
        "3.13": "2.13.0",
    }
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f'python_version: "{SPACE_PYTHON}.12"' in readme  # ZeroGPU has 3.10.13 and 3.12.12 only
    for python in PYTHONS:
        names = {line.partition("==")[0] for line in lines()}
        assert all(pin(name, python) for name in names)


# ---------------------------------------------------------------- with the package index


@pytest.fixture(scope="module")
def index() -> None:
    """Skips where the package index cannot be reached."""
    address = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
    try:
        with urllib.request.urlopen(f"{address}/packaging/", timeout=20):
            pass
    except OSError as problem:
        pytest.skip(f"the package index cannot be reached: {problem}")


def uv(folder: Path, requirements: list[str], python: str, system: str) -> list[str]:
    """The exact versions that a system gets, wheels only."""
    program = shutil.which(
        "uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if program is None:
        pytest.skip("uv is not installed: tests/requirements.txt names it")
    file = folder / "wanted.txt"
    file.write_text("\n".join(requirements), encoding="utf-8")
    command = [program, "pip", "compile", "--quiet", "--no-config", "--no-header", "--no-annotate"]
    command += ["--only-binary", ":all:", "--python-version", python, "--python-platform", system]
    process = subprocess.run(
        [*command, str(file)],
        capture_output=True,
        text=True,
        env={**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"},
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.splitlines()


@pytest.mark.index
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_gets_wheels_for_all_pins(index, tmp_path, system, python):
    result = uv(tmp_path, lines(), python, SYSTEMS[system])
    assert f"torch=={pin('torch', python)}" in result
    names = {line.partition("==")[0] for line in lines()}
    assert names <= {line.partition("==")[0] for line in result}


@pytest.mark.index
def test_what_a_space_installs_fits_together(index, tmp_path):
    result = uv(tmp_path, space_requirements(), SPACE_PYTHON, SYSTEMS["Linux"])
    assert {"torch==2.10.0", "spaces==0.51.3", f"pydantic=={pin('pydantic', '3.12')}"} <= {*result}
    assert any(line.startswith("mcp==") for line in result)


@pytest.mark.index
def test_what_the_tests_need_fits_too(index, tmp_path):
    rows = (ROOT / "tests" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    own = [text for row in rows if (text := row.partition("#")[0].strip()) and text[0] != "-"]
    assert own
    uv(tmp_path, [*lines(), *own], "3.11", SYSTEMS["Linux"])


@pytest.mark.index
def test_pins_that_do_not_fit_are_noticed(index, tmp_path):
    newer = [line.replace("pydantic==2.12.5", "pydantic==2.14.3") for line in space_requirements()]
    assert newer != space_requirements()
    with pytest.raises(AssertionError, match="No solution found"):
        uv(tmp_path, newer, SPACE_PYTHON, SYSTEMS["Linux"])


@pytest.mark.index
@pytest.mark.parametrize(
    ("system", "python"),
    [("Linux", "3.12"), ("Windows", "3.13"), ("macOS 14 on Apple silicon", "3.11")],
)
def test_pip_finds_a_wheel_for_each_pin(index, tmp_path, system, python):
    """A dry run brings metadata, no wheel. The lines are chosen here: pip would choose for its own Python."""
    file, nothing = tmp_path / "wanted.txt", tmp_path / "nothing"
    names = [line.partition("==")[0] for line in lines()]
    pins = [f"{name}=={pin(name, python)}" for name in dict.fromkeys(names)]
    file.write_text("\n".join(pins), encoding="utf-8")
    options = ["--dry-run", "--no-deps", "--no-input", "--only-binary=:all:"]
    options += ["--ignore-requires-python", "--target", str(nothing), "--python-version", python]
    options += ["--implementation", "cp"]
    options += [part for tag in PIP_TAGS[system] for part in ("--platform", tag)]
    process = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "-r", str(file)],
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    would = next(line for line in process.stdout.splitlines() if line.startswith("Would install"))
    assert f" torch-{pin('torch', python)}" in would
    assert len(would.split()) == len(pins) + 2
    assert not nothing.exists() or not list(nothing.iterdir())
