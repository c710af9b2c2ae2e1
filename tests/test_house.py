"""The rules of the house: rooms and their order, light imports, plain names, both languages whole."""

import ast
import re
import string
import subprocess
import sys
from functools import cache
from itertools import pairwise
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
# The folders of the tasks and of what stands beside them, in models/ and in tabs/.
FOLDERS = sorted(
    {
        path.parent.name
        for top in ("models", "tabs")
        for path in (ROOT / top).glob("*/__init__.py")
        if path.parent.name
        not in {"runtime", "weights", "servers", "text", "torch_tools", "shared"}
    }
)
CODE = [
    ROOT / "demo.py",
    *(ROOT / "api").rglob("*.py"),
    *(ROOT / "models").rglob("*.py"),
    *(ROOT / "tabs").rglob("*.py"),
]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_in(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def tops(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports_in(path)}


def test_models_know_no_page():
    for path in (ROOT / "models").rglob("*.py"):
        assert not tops(path) & {"gradio", "tabs", "demo", "api"}, path


def test_tabs_know_no_model_library():
    for path in (ROOT / "tabs").rglob("*.py"):
        assert not tops(path) & HEAVY, path


def test_tabs_do_not_import_each_other():
    for path in (ROOT / "tabs").rglob("*.py"):
        own = path.relative_to(ROOT / "tabs").parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        others = {f"tabs.{name}" for name in set(FOLDERS) - {own}}
        assert not {
            n for n in imports_in(path) if any(n == o or n.startswith(o + ".") for o in others)
        }, path


def test_importing_the_page_imports_no_model_library():
    code = f"import sys, demo; print(sorted({HEAVY!r} & set(sys.modules)))"
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert process.stdout.strip().splitlines()[-1] == "[]"


# ---------------------------------------------------------------- rooms and their order

# From the ground up. A module may import what stands on a lower line, and its own folder. A task's
# engines stand above the cache because they are imported by name only, when they are first needed.
ORDER = (
    ("models.errors", "models.settings", "models.fields", "models.contract", "models.state"),
    (
        *("models.logs", "models.servers", "models.serving", "models.text"),
        *("models.runtime.blocking", "models.runtime.placement"),
    ),
    tuple(f"models.{name}.catalog" for name in FOLDERS),
    ("models.tasks",),
    ("models.weights",),
    ("models.runtime", "models.select", "models.torch_tools"),
    ("models.bert_program",),
    (*(f"models.{name}" for name in FOLDERS), "models.access"),
    ("tabs.shared",),
    tuple(f"tabs.{name}" for name in FOLDERS),
    ("tabs",),
    ("api", "models"),
    ("demo",),
)
GROUND = set(ORDER[0])  # these five may import each other
MAY_USE = {  # a task's folder -> the other tasks' folders that it may import
    "models.teach": {"models.sentence_similarity", "models.sentiment"},
    "models.word_vectors": {"models.sentence_similarity"},
}


def name_of(path: Path) -> str:
    """A file's module: models/chat/catalog.py -> models.chat.catalog."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in CODE}


def imports_of(module: str) -> set[str]:
    """The modules of ours that one imports: at its top, in functions, or to check types alone."""
    result = set()
    for node in ast.walk(tree(MODULES[module])):
        if isinstance(node, ast.Import):
            result |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            result |= {name if name in MODULES else str(node.module) for name in names}
    return (result & MODULES.keys()) - {module}


IMPORTS = {module: imports_of(module) for module in MODULES}


def within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def room_of(module: str) -> tuple[int, str]:
    """The line of ORDER and the room on it that a module belongs to: the longest name that fits."""
    rooms = [(level, room) for level, line in enumerate(ORDER) for room in line]
    return max((r for r in rooms if within(module, r[1])), key=lambda r: len(r[1]))


def folder_of(module: str) -> str:
    return "api" if within(module, "api") else ".".join(module.split(".")[:2])


def test_no_import_leads_in_a_circle():
    """Whichever way: at the top, in a function, under TYPE_CHECKING."""
    rest = {module: set(others) for module, others in IMPORTS.items()}
    while leaves := {module for module, others in rest.items() if not others}:
        rest = {module: others - leaves for module, others in rest.items() if module not in leaves}
    # What is left is on a circle, or imports one.
    while free := {m for m in rest if not any(m in others for others in rest.values())}:
        rest = {module: others for module, others in rest.items() if module not in free}
    assert not rest, f"on a circle: {sorted(rest)}"


def test_imports_run_downward_only():
    upward = []
    for module, others in IMPORTS.items():
        level, room = room_of(module)
        for other in others:
            other_level, other_room = room_of(other)
            own = folder_of(module) == folder_of(other) or {room, other_room} <= GROUND
            names_in_use = folder_of(other) in MAY_USE.get(folder_of(module), set())
            if not own and (other_level > level or (other_level == level and not names_in_use)):
                upward.append(f"{module} -> {other}")
    assert not upward, sorted(upward)


def test_a_task_imports_no_other_task():
    names = {f"models.{name}" for name in FOLDERS}
    wrong = []
    for module, others in IMPORTS.items():
        own = folder_of(module)
        if own in names:
            values = {own} | MAY_USE.get(own, set())
            wrong += [f"{module} -> {o}" for o in others if folder_of(o) in names - values]
    assert not wrong, sorted(wrong)


def test_the_contract_names_no_task():
    text = (ROOT / "models" / "contract.py").read_text(encoding="utf-8")
    assert [task.id for task in TASKS if f'"{task.id}' in text] == []


# ---------------------------------------------------------------- plain names

# Nouns for things, verbs for functions. A participle says neither what a thing is nor what is done.
NOWHERE = re.compile(  # wrong as any word of a name
    "asked|told|said|drawn|kept|shown|begun|given|made|found|taken|thrown|chosen|seen|ended|heard|left_out|"
    "written|sent|got|brought|opened|saved|adapted|settled|wanted|gone|picked|meant|held"
)
NOT_ALONE = re.compile(  # wrong as a whole name: "known", but not "known_words"
    f"{NOWHERE.pattern}|known|done|been|lent|taught|caught|spent|broken|built|lost|grown|bought|[a-z]{{2,}}ed"
)
NO_PARTICIPLES = {"seed", "speed", "need", "feed", "red", "embed", "exceed", "hundred"}
EXCEPTIONS = {
    # Events and errors are named by what has happened.
    *("Finished", "Encoded", "NotFound", "Refused", "Damaged", "Stopped"),
    # Fields of answers, of events and of the catalogue: contracts.
    *(
        "done",
        "loaded",
        "listed",
        "hosted",
        "gated",
        "truncated",
        "skipped",
        "flagged",
        "unsupported",
    ),
    # The field's own terms: a held-out set, mixed languages, torch's compiled models; what a test
    # expects; "[DONE]" ends a stream.
    *("held_out", "MIXED", "compiled", "expected", "DONE"),
}
ROLES = {"Panel", "View"}  # the components of a part of the page, the same role in each
NAMED_BY_US = [
    *CODE,
    *(ROOT / "training").rglob("*.py"),
    *(ROOT / "tests").rglob("*.py"),
]


def bound_names(path: Path):
    """(line, name) of all that a file names: functions, classes, parameters, variables, attributes.

    The name of a test is a sentence on what holds, which may have a participle.
    """
    for node in ast.walk(tree(path)):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                name = node.name
            case ast.arg():
                name = node.arg
            case ast.Name(ctx=ast.Store()):
                name = node.id
            case ast.Attribute(ctx=ast.Store()):
                name = node.attr
            case ast.alias() | ast.ExceptHandler():
                name = (node.asname if isinstance(node, ast.alias) else node.name) or ""
            case _:
                continue
        if name and not name.startswith("test_"):
            yield getattr(node, "lineno", 0), name


def is_participle(name: str) -> bool:
    """Whether a name is one or has one among its words, or two that are one: left_out."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_")
    words = name.replace("held_out", "").strip("_").split("_")
    pairs = (f"{first}_{second}" for first, second in pairwise(words))
    if any(NOWHERE.fullmatch(word) for word in [*words, *pairs]):
        return True
    return bool(NOT_ALONE.fullmatch(name)) and name not in NO_PARTICIPLES


def test_no_name_is_a_participle():
    wrong = {
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in NAMED_BY_US
        for line, name in bound_names(path)
        if name not in EXCEPTIONS and is_participle(name)
    }
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(sorted(wrong))


def test_participles_are_told_from_other_words():
    for name in ("found", "_known", "is_kept", "left_out", "Asked", "_typed", "wanted_steps"):
        assert is_participle(name), name
    for name in ("seed", "known_words", "held_out_share", "match", "LoadedModel", "speed"):
        assert not is_participle(name), name


def test_no_module_is_named_by_a_participle():
    names = MODULES.keys() - {"tabs.shared"}  # the room of what the tabs share
    assert not [m for m in names if is_participle(m.rpartition(".")[2])]


def test_two_classes_never_share_a_name():
    places: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name.lstrip("_"), []).append(module)
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert not {name: where for name, where in twice.items() if name not in ROLES}


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
    codes = set()
    for path in (ROOT / "models").rglob("*.py"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = node.func.id if isinstance(node.func, ast.Name) else ""
                if name in KINDS and isinstance(node.args[0].value, str):
                    codes.add(node.args[0].value)
    codes |= {kind.kind for kind in KINDS.values()} - {"stopped"}
    assert codes <= {k.removeprefix("errors.") for k in STRINGS["en"]}, codes - {
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


# ---------------------------------------------------------------- systems other than Linux

# What Windows does not have (Python's documentation, "Availability: Unix").
POSIX = {
    "os": "fork forkpty killpg setsid setpgid getuid geteuid getgid getegid getpgid uname nice mkfifo "
    "chown fchown lchown statvfs sched_getaffinity sched_setaffinity wait sysconf posix_spawn getloadavg",
    "signal": "SIGKILL SIGALRM SIGHUP SIGUSR1 SIGUSR2 SIGCHLD SIGPIPE alarm setitimer pause",
    "socket": "AF_UNIX SO_REUSEPORT SCM_RIGHTS",
    "asyncio": "open_unix_connection start_unix_server",
}
POSIX_MODULES = {
    "fcntl",
    "resource",
    "pwd",
    "grp",
    "termios",
    "pty",
    "tty",
    "posix",
    "syslog",
    "crypt",
}
GUARDS = re.compile(r"hasattr|os\.name|sys\.platform|platform\.system")
FORESEEN = {"OSError", "AttributeError", "ImportError", "ValueError", "Exception"}
BY_ADDRESS = {  # a socket file is connected to only where one was made, behind a guard
    ("models/chat/llama_server.py", "socket.AF_UNIX"),
}


def posix_uses(path: Path):
    """(line, what) of each use of something that is not on every system, outside a guard."""
    parents = {child: node for node in ast.walk(tree(path)) for child in ast.iter_child_nodes(node)}

    def names_in(node: ast.AST) -> set[str]:
        return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}

    def is_guarded(node: ast.AST) -> bool:
        while (parent := parents.get(node)) is not None:
            if isinstance(parent, ast.If | ast.IfExp | ast.BoolOp) and GUARDS.search(
                ast.unparse(parent.test if not isinstance(parent, ast.BoolOp) else parent)
            ):
                return True
            words: set[str] = set()
            if isinstance(parent, ast.Try) and node in parent.body:
                words = {word for one in parent.handlers if one.type for word in names_in(one.type)}
            elif isinstance(parent, ast.With) and node in parent.body:
                calls = [one.context_expr for one in parent.items]
                words = {
                    word
                    for call in calls
                    if "suppress" in names_in(call)
                    for word in names_in(call)
                }
            if words & FORESEEN:
                return True
            node = parent
        return False

    for node in parents:
        what = ""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in POSIX.get(node.value.id, "").split():
                what = f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
            what = ", ".join(sorted(names & POSIX_MODULES, key=str))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.match(r"/(dev|proc|sys|tmp|etc|var|usr)(/|$)", node.value):
                what = node.value
            elif node.value == "fork":
                what = "fork"
        elif isinstance(node, ast.keyword) and node.arg in {"preexec_fn", "start_new_session"}:
            what = str(node.arg)
        if what and not is_guarded(node):
            yield getattr(node, "lineno", 0), what


def test_nothing_that_only_posix_has_is_used_outside_a_guard(tmp_path):
    wrong = [
        f"{name}:{line} {what}"
        for path in CODE
        for line, what in posix_uses(path)
        if ((name := path.relative_to(ROOT).as_posix()), what) not in BY_ADDRESS
    ]
    assert not wrong, wrong
    bad = tmp_path / "bad.py"
    bad.write_text("import os, fcntl\nif os.name != 'nt':\n    os.fork()\nos.killpg(1, 9)\n")
    assert [what for _, what in posix_uses(bad)] == ["fcntl", "os.killpg"]
