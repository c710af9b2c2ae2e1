"""What the README says, held against the code."""

import re
import tomllib

from models.settings import ROOT, Settings
from tests.readme import MARKS, with_table

README = (ROOT / "README.md").read_text(encoding="utf-8")
PINS = (ROOT / "requirements.txt").read_text(encoding="utf-8")


def test_the_model_table_is_the_catalogue():
    assert all(mark in README for mark in MARKS)
    assert with_table(README) == README, "run python -m tests.readme"


def test_the_two_commands_are_there_word_for_word():
    head = "python3 -m venv .venv && .venv/bin/pip install -r "
    weights = ".venv/bin/python -m models.weights"
    assert f"\n{head}requirements.txt && {weights} && .venv/bin/python demo.py\n" in README
    assert f"\n{head}tests/requirements.txt && .venv/bin/python -m pytest\n" in README


def test_the_front_matter_is_what_a_space_needs():
    front = dict(re.findall(r"^(\w+): (.+)$", README.split("---")[1], re.M))
    pin = re.search(r"^gradio==(\S+)", PINS, re.M)[1]
    assert front["sdk"] == "gradio"
    assert front["sdk_version"] == pin
    assert front["app_file"] == "demo.py"
    assert front["license"] == "apache-2.0"


def test_every_requirement_is_pinned_exactly():
    for file in ("requirements.txt", "tests/requirements.txt"):
        for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
            wanted = line.split("#")[0].strip()
            if wanted and not wanted.startswith("-r "):
                assert re.fullmatch(r"[\w.-]+==[\w.]+", wanted), wanted


def test_every_setting_is_in_the_readme():
    for field in Settings.model_fields.values():
        assert f"`{field.alias}`" in README, field.alias


def test_pyproject_holds_tool_settings_only():
    assert set(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))) == {"tool"}


def test_no_shipped_file_is_over_what_a_space_takes():
    for path in (ROOT / "models" / "starter").rglob("*"):
        assert not path.is_file() or path.stat().st_size <= 10_000_000, path


def test_every_file_that_the_architecture_names_exists():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    files = set(re.findall(r"`(\w+(?:/\w+)*(?:/|/\w+\.\w+)|demo\.py|api\.py)`", page))
    assert len(files) > 45
    assert not {name for name in files if not (ROOT / name).exists()}
    assert len(page.splitlines()) <= 120


def test_the_house_section_is_short():
    house = README.split("## The house")[1].split("\n## ")[0]
    assert len(house.strip().splitlines()) <= 25
