"""GenLab: try, understand and share generative and language models in the browser."""

import argparse
import gc
import os
import sys
from typing import Any

from models.runtime.allocator import limit_arenas

limit_arenas()  # before a library starts a thread
# Importing Gradio and laying the page out makes a million objects that all stay: looking through them for
# garbage again and again took a sixth of the start.
gc.disable()
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

import gradio as gr

import api
from api import privacy
from api.guard import gradio_login
from models import logs
from models.access import Access
from models.runtime import zerogpu
from models.runtime.cache import ModelCache
from models.runtime.jobs import end_well
from models.servers import prices
from models.settings import Settings, SettingsError, parse_credentials
from models.tasks import CATALOG
from models.weights.__main__ import fetch_default
from models.weights.sources import is_here
from tabs import TABS
from tabs.shared import experiments, gradio_patches, models_panel, space
from tabs.shared.context import Context
from tabs.shared.strings import I18N, LANGUAGES, say, t
from tabs.shared.theme import CSS, HEAD, THEME


def arguments(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="demo.py", description=__doc__)
    parser.add_argument("--share", action="store_true", help="make a public link")
    parser.add_argument("--host", help="address to listen on (0.0.0.0: the whole network)")
    parser.add_argument("--port", type=int, help="7860 or the next that is free by default")
    parser.add_argument(
        "--root-path", metavar="PATH", help="where a proxy puts the page, like /genlab"
    )
    parser.add_argument("--mcp", action="store_true", help="offer the endpoints as tools (MCP)")
    parser.add_argument("--auth", metavar="NAME:PASSWORD", help="ask visitors to log in")
    return parser.parse_args(argv)


def launch_options(settings: Settings, cache: ModelCache, access: Access) -> dict[str, Any]:
    """What the page is launched with, in the app and in its tests."""
    return {
        "theme": THEME,
        "css": CSS,
        "head": HEAD,
        "i18n": I18N,
        "footer_links": ["api", "gradio"],  # "settings" has a language picker beside ours
        "show_error": False,
        "run_history": False,
        "root_path": settings.root_path or None,
        "ssr_mode": False,  # on a Space Gradio would put a server before ours that knows its own paths only
        "_frontend": False,  # no look by Gradio at its own page: after 3 s without an answer it ends the start
        "enable_monitoring": False,
        "max_file_size": f"{settings.max_upload_mb}mb",
        "max_threads": 200,  # one a running job: it mostly waits for its worker
        "app_kwargs": {
            **api.app_options(cache, access),
            "lifespan": gradio_patches.lifespan,
        },
    }


options = arguments(sys.argv[1:] if __name__ == "__main__" else [])
try:
    own = {"GENLAB_ROOT_PATH": options.root_path} if options.root_path else {}
    settings = Settings.read({**os.environ, **own})
    settings = settings.for_public() if options.share else settings
    settings.check_budget()
    prices.check(settings)
    login = [parse_credentials(options.auth)] if options.auth else settings.credentials
except SettingsError as problem:
    sys.exit(f"GenLab cannot start: {problem}")
mcp = options.mcp or os.environ.get("GRADIO_MCP_SERVER", "").lower() == "true"  # as Gradio reads it
if mcp and login:
    sys.exit("GenLab cannot start: the tools of --mcp know no login; leave one of both out")
if settings.fetch:
    fetch_default(settings)
if zerogpu.ACTIVE:
    zerogpu.place_models((spec for spec in CATALOG if spec.wants_gpu and is_here(spec)), settings)
if gr.NO_RELOAD:  # `gradio demo.py` runs this file again at each change; the models stay
    cache = ModelCache(settings)

with gradio_patches.PageBlocks(
    title="GenLab", analytics_enabled=False, delete_cache=(600, 3600)
) as demo:
    # First, while the page is empty: each call to queue builds the whole app's configuration.
    demo.queue(api_open=False, max_size=settings.queue_size, default_concurrency_limit=64)
    context = Context(settings, cache)  # pyright: ignore[reportPossiblyUnboundVariable]
    open_models, switch = models_panel.build_header(context)
    tabs: dict[str, gr.Tab] = {}
    with gr.Tabs(elem_id="tabs", overflow_behavior="wrap"):
        for name, build in TABS.items():
            with gr.Tab(t(f"{name}.tab"), id=name, elem_id=f"tab-{name}") as tabs[name]:
                build(context)
    models_panel.bind_language(demo, switch, tabs | context.inner_tabs, context.by_language)
    experiments.bind_address(demo, tabs | context.inner_tabs)
    models_panel.build(context, open_models)
    demo.load(context.warm_once, queue=False, api_visibility="private", show_progress="hidden")
gc.enable()

if __name__ == "__main__":
    privacy.install(settings, login or ())
    logs.configure(settings, privacy.secrets_of(settings, login or ()))
    end_well(context.cache)
    if os.environ.get("SPACE_ID"):
        space.tell(settings)
    gc.freeze()  # the page's objects are never garbage: no later look through them either
    # How long a thread that wants the interpreter waits for it, at most, before another gives it up: 5 ms by
    # default, in which the many short waits of a crowd's models added up to seconds.
    sys.setswitchinterval(0.0002)
    access = Access(settings, login or ())
    demo.launch(
        share=options.share,
        server_name=options.host or settings.host,
        server_port=options.port or settings.port,
        auth=gradio_login(access) if login else None,
        auth_message="<br>".join(say("page.sign_in", language) for language in LANGUAGES),
        mcp_server=mcp,
        **launch_options(settings, context.cache, access),
    )
