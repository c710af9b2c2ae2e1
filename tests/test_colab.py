"""docs/colab.ipynb from top to bottom, in a fresh environment that stands in for Colab: with a torch of its own.

The environment has what tests/requirements.txt installed here, and before it a torch of another version that only its
metadata shows. So nothing is downloaded, and a pip that touched torch would be seen.
"""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import distributions
from pathlib import Path

import pytest

from tests.conftest import ROOT, free_port
from tests.test_readme import HOME, README
from tests.test_requirements import lines

NOTEBOOK = ROOT / "docs" / "colab.ipynb"
OWN_TORCH = "2.12.99"


def test_the_notebook_is_clean_and_the_badge_leads_to_it():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert [cell["cell_type"] for cell in cells] == ["markdown"] + ["code"] * 5
    assert all(not cell["outputs"] for cell in cells[1:])
    assert HOME in "".join(cells[1]["source"])
    address = HOME.replace("https:", "https%3A")
    badge = f"https://colab.research.google.com/#fileId={address}/blob/main/docs/colab.ipynb"
    assert f"]({badge})" in README


@pytest.mark.timeout(900)
def test_the_notebook_runs_from_top_to_bottom(tmp_path):
    nbclient = pytest.importorskip("nbclient", reason="nbclient is in tests/requirements.txt")
    nbformat = pytest.importorskip("nbformat")
    package_names = {
        one.metadata["Name"].lower().replace("_", "-"): one.version for one in distributions()
    }
    differ = [
        line
        for line in lines()
        if not line.startswith("torch==")
        and package_names.get(line.partition("==")[0]) != line.partition("==")[2]
    ]
    if differ:
        pytest.skip(f"these pins are not installed here: {', '.join(differ)}")
    python = environment(tmp_path)
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "--quiet", "--shared", str(ROOT), str(source)], check=True)
    work = tmp_path / "content"
    work.mkdir()
    values = {
        "GENLAB_REPOSITORY": str(source),
        "GENLAB_DOWNLOADS": "false",  # the weights have tests of their own
        "GENLAB_PORT": str(free_port()),
        "GENLAB_ENV_FILE": os.devnull,
        "JUPYTER_PATH": str(tmp_path / "jupyter"),
        "PIP_NO_INDEX": "1",  # nothing is to be fetched
    }
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)  # the kernel has them from here
    try:
        client = nbclient.NotebookClient(
            notebook, timeout=600, kernel_name="colab", resources={"metadata": {"path": str(work)}}
        )
        client.execute()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
    lines_out = [
        "".join(output.get("text", "") for output in cell["outputs"]) for cell in notebook.cells[1:]
    ]
    assert str(work / "genlab") in lines_out[0]
    assert lines_out[1].strip().endswith(f"torch {OWN_TORCH}")
    assert (work / "genlab-kept.txt").read_text().splitlines()[0] == f"torch=={OWN_TORCH}"
    assert "torch==" not in (work / "genlab-wanted.txt").read_text()
    assert f"Open http://127.0.0.1:{values['GENLAB_PORT']}/" in lines_out[3]
    assert [line.rpartition(" ")[2] for line in lines_out[4].strip().splitlines()] == [
        "positive"
    ] * 2
    version = "import importlib.metadata as m; print(m.version('torch'))"
    after = subprocess.run([python, "-c", version], capture_output=True, text=True, check=True)
    assert after.stdout.strip() == OWN_TORCH


def environment(folder: Path) -> Path:
    """A fresh environment with pip, a kernel, and the packages of this one; returns its Python."""
    root = folder / "env"
    venv.create(root, with_pip=True, symlinks=os.name != "nt")
    python = root / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(
        subprocess.run([python, "-c", ask], capture_output=True, text=True).stdout.strip()
    )
    here = [sysconfig.get_path("purelib"), *(p for p in sys.path if p.endswith("site-packages"))]
    (packages / "zz_here.pth").write_text("\n".join(dict.fromkeys(here)), encoding="utf-8")
    facts = packages / f"torch-{OWN_TORCH}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {OWN_TORCH}\n")
    (facts / "RECORD").write_text("")
    kernel = folder / "jupyter" / "kernels" / "colab"
    kernel.mkdir(parents=True)
    command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.joinpath("kernel.json").write_text(
        json.dumps({"argv": command, "display_name": "Colab", "language": "python"})
    )
    return python
