"""A new task by the steps of docs/add_a_task.md alone, in a copy of GenLab: page, API, hub id, recipe."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from gradio_client import Client
from playwright.sync_api import expect

from tests import tiny
from tests.conftest import ROOT, start_server
from tests.hub_server import HubServer, Repository

TEXT = "Hello there, tokens"
BLOCK = re.compile(r"^`(?P<file>[\w/.]+)`\n\n```\w+\n(?P<code>.*?)^```$", re.M | re.S)


def copy_of_genlab(folder: Path) -> Path:
    """The code in a folder of its own; the starters' weights are linked."""
    for name in ("api", "models", "tabs", "tests"):
        patterns = shutil.ignore_patterns("starter", "__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=patterns)
    for path in ROOT.glob("*.py"):
        shutil.copy(path, folder)
    (folder / "models" / "starter").symlink_to(ROOT / "models" / "starter")
    return folder


def replace_once(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, (path, old)
    path.write_text(text.replace(old, new), encoding="utf-8")


def follow_the_page(folder: Path) -> None:
    """Do what docs/add_a_task.md says: write the new files, and add to the two that are there."""
    page = (ROOT / "docs" / "add_a_task.md").read_text(encoding="utf-8")
    blocks = {match["file"]: match["code"] for match in BLOCK.finditer(page)}
    catalogue, row = blocks.pop("models/tasks.py").split("\n\n", 1)
    tasks = folder / "models" / "tasks.py"
    replace_once(tasks, "\n\nTASKS = (", f"\n{row}\n\nTASKS = (")
    replace_once(tasks, ", TEACH)", ", TEACH, TOKENS)")
    replace_once(tasks, "\n\n\n@dataclass", f"\n{catalogue}\n\n\n@dataclass")
    tabs = folder / "tabs" / "__init__.py"
    replace_once(tabs, "\n}", f"\n{blocks.pop('tabs/__init__.py')}}}")
    replace_once(tabs, "from tabs import ", "from tabs import tokens, ")
    for name, code in blocks.items():
        path = folder / name
        assert not path.exists(), name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, encoding="utf-8")


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A hub with one model, of which the task reads the tokenizer alone."""
    folder = tmp_path_factory.mktemp("hub")
    tiny.llama(folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with HubServer({"org/model": Repository(files)}) as server:
        yield server


@pytest.fixture(scope="module")
def app(tmp_path_factory, hub):
    """The copy with the new task, running."""
    folder = copy_of_genlab(tmp_path_factory.mktemp("genlab"))
    follow_the_page(folder)
    work = tmp_path_factory.mktemp("work")
    server = start_server(work, root=folder, HF_ENDPOINT=hub.url)
    yield server
    server.process.terminate()
    server.process.wait(20)
    assert "Traceback" not in server.log_text(), server.log_text()[-3000:]


def test_the_endpoint_takes_auto_and_a_hub_id(app):
    client = Client(app.url, verbose=False)
    assert client.predict(TEXT, api_name="/count_tokens") == TEXT.split()
    tokens = client.predict(TEXT, "org/model", api_name="/count_tokens")
    assert len(tokens) > len(TEXT.split())


def test_blank_text_and_an_unknown_model_are_refused_in_words(app):
    client = Client(app.url, verbose=False)
    for values in [("  ",), (TEXT, "no such model")]:
        with pytest.raises(Exception, match=r"\w+ \w+ \w+"):
            client.predict(*values, api_name="/count_tokens")


@pytest.mark.parametrize(("locale", "count"), [("en-US", "3 tokens"), ("ko-KR", "토큰 3개")])
def test_the_tab_shows_the_result_and_a_recipe_that_runs(app, browser, locale, count, tmp_path):
    context = browser.new_context(locale=locale)
    page = context.new_page()
    page.goto(app.url)
    name = "Tokens" if locale == "en-US" else "토큰"  # the chat has an inner tab of this name too
    page.locator("#tabs > .tab-wrapper").get_by_role("tab", name=name, exact=True).first.click()
    page.locator("#tokens-text textarea").fill(TEXT)
    page.locator("#tokens-start").click()
    expect(page.locator("#tokens-result")).to_contain_text(count)
    page.locator("#tokens-python").get_by_role("button").first.click()
    expect(page.locator("#tokens-recipe .cm-content")).to_contain_text("text.split()")
    code = page.locator("#tokens-recipe .cm-content").inner_text()
    page.locator("#tokens-form label").nth(1).click()
    expect(page.locator("#tokens-recipe .cm-content")).to_contain_text('@app.post("/tokens")')
    context.close()
    output = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert output == f"3 {TEXT.split()}\n"


def test_the_new_task_is_in_the_list_of_models(app, tmp_path_factory):
    folder = copy_of_genlab(tmp_path_factory.mktemp("table"))
    follow_the_page(folder)
    code = "from tests.readme import table; print(table())"
    output = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    assert "| Tokens | Words at spaces | nothing |" in output
