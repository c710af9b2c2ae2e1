"""What the README says, held against the code."""

import json
import re
import tomllib

import yaml

from models.settings import ROOT, Settings
from models.tasks import CATALOG
from models.weights import hub, hub_files
from tests.readme import MARKS, with_table

README = (ROOT / "README.md").read_text(encoding="utf-8")
HOME = (
    "https://huggingface.co/spaces/genlab/genlab"  # where README, notebook and image say GenLab is
)
STABLE_DIFFUSION = {  # model_index.json of CompVis/stable-diffusion-v1-4
    "_class_name": "StableDiffusionPipeline",
    "feature_extractor": ["transformers", "CLIPImageProcessor"],
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
PINS = (ROOT / "requirements.txt").read_text(encoding="utf-8")


def test_the_model_table_is_the_catalogue():
    assert all(mark in README for mark in MARKS)
    assert with_table(README) == README, "run python -m tests.readme"


def test_the_two_commands_are_there_word_for_word():
    head = "python3 -m venv .venv && .venv/bin/pip install -r "
    weights = ".venv/bin/python -m models.weights"
    assert f"\n{head}requirements.txt && {weights} && .venv/bin/python demo.py\n" in README
    assert f"\n{head}tests/requirements.txt && .venv/bin/python -m pytest -n 2\n" in README


def test_the_front_matter_is_what_a_space_needs():
    front = dict(re.findall(r"^(\w+): (.+)$", README.split("---")[1], re.M))
    pin = re.search(r"^gradio==(\S+)", PINS, re.M)[1]
    assert front["sdk"] == "gradio"
    assert front["sdk_version"] == pin
    assert front["app_file"] == "demo.py"
    assert front["license"] == "apache-2.0"
    assert front["suggested_hardware"] == "zero-a10g"  # ZeroGPU's name at the hub
    assert front["startup_duration_timeout"] == "1h"
    assert front["thumbnail"] == f"{HOME}/resolve/main/docs/chat.png"
    assert len(front["short_description"]) <= 60  # the hub takes no longer one
    values = {
        "title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file",
        "suggested_hardware", "startup_duration_timeout", "license", "short_description", "thumbnail",
        "tags", "models", "preload_from_hub",
    }  # fmt: skip
    assert set(yaml.safe_load(README.split("---")[1])) == values  # of the hub's reference, 2026-08


def test_what_a_space_preloads_is_whole(tmp_path):
    """With just these files of the hub, each under its own name, the models count as here."""
    front = yaml.safe_load(README.split("---")[1])
    assert len(front["preload_from_hub"]) == 2
    for item in front["preload_from_hub"]:
        name, files = item.split(" ")  # without a commit: the hub's client then names it "main"
        spec = next(s for s in CATALOG if s.scheme == "hub" and hub.repository(s) == name)
        folder = tmp_path / name
        for file in files.split(","):
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}", encoding="utf-8")
        if (index := folder / "model_index.json").exists():
            index.write_text(json.dumps(STABLE_DIFFUSION), encoding="utf-8")
        assert hub_files.is_whole(spec, folder), name
        names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        read = lambda file, folder=folder: json.loads((folder / file).read_bytes())  # noqa: E731
        assert hub_files.needed_files(spec, names, read) == names  # and none too many
        assert name in front["models"]


def test_every_requirement_is_pinned_exactly():
    for file in ("requirements.txt", "tests/requirements.txt"):
        for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
            target = line.split("#")[0].strip()
            if target and not target.startswith("-r "):
                marker = r'(; python_version (==|!=) "3\.\d+")?'
                assert re.fullmatch(rf"[\w.-]+==[\w.]+{marker}", target), target


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
