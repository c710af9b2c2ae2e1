"""The rules of the house: layers, light imports, short files and functions, both languages whole."""

import ast
import re
import string
import subprocess
import sys
from pathlib import Path

from models.settings import ROOT
from models.tasks import CATALOG, TASKS
from tabs.shared.strings import FOLDER, LANGUAGES, STRINGS, read

HEAVY = {
    "torch",
    "transformers",
    "diffusers",
    "gensim",
    "scipy",
    "openai",
    "peft",
    "captum",
    "sentence_transformers",
}
CODE = [
    ROOT / "demo.py",
    ROOT / "api.py",
    *(ROOT / "models").rglob("*.py"),
    *(ROOT / "tabs").rglob("*.py"),
]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def tops(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


def test_models_know_no_page():
    for path in (ROOT / "models").rglob("*.py"):
        assert not tops(path) & {"gradio", "tabs", "demo", "api"}, path


def test_tabs_know_no_model_library():
    for path in (ROOT / "tabs").rglob("*.py"):
        assert not tops(path) & HEAVY, path


def test_tabs_do_not_import_each_other():
    names = {"chat", "text_to_image", "sentiment", "sentence_similarity"}
    for path in (ROOT / "tabs").rglob("*.py"):
        own = path.relative_to(ROOT / "tabs").parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        others = {f"tabs.{name}" for name in names - {own.removeprefix("_")}}
        assert not {
            n for n in imported(path) if any(n == o or n.startswith(o + ".") for o in others)
        }, path


def test_importing_the_page_imports_no_model_library():
    code = f"import sys, demo; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_both_languages_have_the_same_strings_with_the_same_places():
    assert {f.name for f in (FOLDER / "en").iterdir()} == {
        f.name for f in (FOLDER / "ko").iterdir()
    }
    assert set(STRINGS["en"]) == set(STRINGS["ko"])
    for key, text in STRINGS["en"].items():
        if "how" in key.split(".") or "{" not in text:
            continue
        places = [
            {p for _, p, _, _ in string.Formatter().parse(STRINGS[lang][key]) if p}
            for lang in LANGUAGES
        ]
        assert places[0] == places[1], key


def test_korean_is_korean():
    same = {k for k, v in read("ko").items() if not re.search("[가-힣]", v)}
    assert same <= {"page.other_language"} | {k for k in same if len(STRINGS["ko"][k]) < 25}, same


def test_every_code_that_is_raised_has_its_words():
    raised = set()
    for path in (ROOT / "models").rglob("*.py"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = node.func.id if isinstance(node.func, ast.Name) else ""
                if name in KINDS and isinstance(node.args[0].value, str):
                    raised.add(node.args[0].value)
    raised |= {kind.kind for kind in KINDS.values()} - {"stopped"}
    assert raised <= {k.removeprefix("errors.") for k in STRINGS["en"]}, raised - {
        k.removeprefix("errors.") for k in STRINGS["en"]
    }


def _kinds():
    from models import errors

    return {
        k: v
        for k, v in vars(errors).items()
        if isinstance(v, type) and issubclass(v, errors.ModelError)
    }


KINDS = _kinds()


def test_the_catalogue_is_whole():
    assert len({(s.task, s.id) for s in CATALOG}) == len(CATALOG)
    for spec in CATALOG:
        assert set(spec.note) == set(LANGUAGES), spec.id
        assert spec.licence, spec.id
        assert spec.size_gb is not None, spec.id
    for task in TASKS:
        offline = [s for s in task.models if s.starter]
        assert offline, f"{task} has nothing that works without a network"


def test_nothing_speaks_of_other_folders_or_unfinished_work():
    for path in CODE:
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"\.\./shared|NotImplementedError|\bTODO\b|\bFIXME\b|unittest\.mock", text
        ), path
