"""The image: linted everywhere, built and run where a Docker engine answers; and what it carries, by licence."""

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from models.settings import Settings
from tests import licences
from tests.conftest import ROOT, free_port
from tests.test_readme import HOME
from tests.test_requirements import pin

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def run(*command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout)


def test_the_dockerfile_passes_hadolint():
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which(
        "hadolint"
    )
    if program is None:
        pytest.skip("hadolint is in tests/requirements.txt; it has no wheel for this system")
    process = run(program, "--failure-threshold", "style", "Dockerfile")
    assert process.returncode == 0, process.stdout
    bad = subprocess.run(
        [program, "-"], input="FROM python:latest\nRUN cd /x\n", capture_output=True, text=True
    )
    assert "DL3007" in bad.stdout


def test_the_image_is_pinned_and_not_root():
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", bases[0])
    assert f"ARG TORCH={pin('torch', '3.11')}" in DOCKERFILE
    users = re.findall(r"^USER (\S+)", DOCKERFILE, re.M)
    assert users == ["1000:1000"]
    assert re.search(r"^VOLUME /weights$", DOCKERFILE, re.M)
    assert "/health" in re.search(r"^HEALTHCHECK .*\\\n.*$", DOCKERFILE, re.M)[0]
    assert f'image.source="{HOME}"' in DOCKERFILE
    values = {field.alias for field in Settings.model_fields.values()} | {"GENLAB_CACHE"}
    assert set(re.findall(r"GENLAB_\w+", DOCKERFILE)) <= values


def test_no_secret_gets_into_the_image():
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {".env", ".git", "tests"} <= set(patterns)
    assert not re.search(r"^(ARG|ENV) .*(KEY|TOKEN|AUTH)", DOCKERFILE, re.M)


def test_the_compose_file_says_what_the_image_needs():
    service = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"][
        "genlab"
    ]
    assert service["ports"] == ["127.0.0.1:7860:7860"]
    assert service["volumes"] == ["weights:/weights"]
    # The example's GENLAB_HOST=127.0.0.1, copied to .env, would shut everybody out.
    assert service["environment"]["GENLAB_HOST"] == "0.0.0.0"
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]  # all that is written beside the volume


def test_the_licences_of_what_it_carries_are_listed():
    page = licences.FILE.read_text(encoding="utf-8")
    listing = set(re.findall(r"^\| ([\w-]+) \| (?!licence)", page, re.M))
    assert len(listing) > 80
    # On other systems and Pythons a few differ.
    assert not set(licences.packages()) - listing - {"colorama", "audioop-lts"}
    assert "| torch | " in page
    assert all(f"| {name} |" in page for name in ("GenLab Scenes", "Multilingual E5 small"))


@pytest.fixture(scope="module")
def image() -> str:
    """The built image; skips where no Docker engine answers."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    result = run("docker", "info", "--format", "{{.ServerVersion}}")
    if result.returncode or not result.stdout.strip():
        pytest.skip("no Docker engine answers here")
    build = run("docker", "build", "--tag", "genlab-test", ".", timeout=1500)
    assert build.returncode == 0, build.stderr[-4000:]
    return "genlab-test"


@pytest.mark.timeout(1800)
def test_the_image_builds_and_its_page_is_healthy(image):
    port = free_port()
    process = run(
        "docker", "run", "--detach", "--rm", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL",
        "--publish", f"127.0.0.1:{port}:7860", "--env", "GENLAB_FETCH=false", image,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    container = process.stdout.strip()
    try:
        end = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                    assert json.load(answer)["status"] == "ok"
                    break
            except OSError:
                assert time.monotonic() < end, run("docker", "logs", container).stdout
                time.sleep(1)
        assert run("docker", "exec", container, "id", "-u").stdout.strip() == "1000"
    finally:
        run("docker", "rm", "--force", container)
