"""What every tab is built with."""

from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from models.contract import ModelSpec
from models.runtime.cache import ModelCache
from models.runtime.jobs import warm
from models.select import default_model
from models.settings import Settings
from models.tasks import CHAT, Task
from models.weights.sources import is_here, models_in, single_files_in
from tabs.shared.strings import phrases, static


@dataclass(frozen=True, slots=True)
class ByLanguage:
    """Controls whose first values depend on the page's language, as long as nobody has changed them.

    Attributes:
        picker: the choice of a model; it is "auto" while the values hold.
        controls: what the values are of.
        values: language -> a value for each control.
    """

    picker: gr.Dropdown
    controls: tuple[gr.components.Component, ...]
    values: dict[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Context:
    """The app's settings and models.

    Attributes:
        settings: read once at start.
        cache: all loaded models, shared by everybody.
        inner_tabs: the tabs inside a task's tab, for the language switch (widgets.inner_tab).
        by_language: the controls that it sets.
    """

    settings: Settings
    cache: ModelCache
    inner_tabs: dict[str, gr.Tab] = field(default_factory=dict[str, gr.Tab])
    by_language: list[ByLanguage] = field(default_factory=list[ByLanguage])

    def warm_once(self) -> None:
        """Once the first visitor has the page, load the first tab's starter in the background."""
        if not self.cache.status():
            warm(self.cache, self.default_model(CHAT))

    def model_choices(self, task: Task) -> list[tuple[Any, str]]:
        """(label, id) of a task's models for a Dropdown; "↓" marks those that are to be downloaded."""
        own: list[str] = []  # files in the host's folder
        if task.gguf_engine:
            own = models_in(self.settings)
        elif task.single_file:
            own = single_files_in(self.settings, "sd1", "sd2", "sdxl")
        return [(self._label(s), s.id) for s in task.models] + [(name, name) for name in own]

    def default_model(self, task: Task, language: str = "en") -> ModelSpec:
        """The model selected when the page opens."""
        return default_model(task, self.settings, language)

    def _label(self, spec: ModelSpec) -> Any:
        mark = ""
        if spec.hosted:
            mark = " · API"
        elif not is_here(spec) and spec.size_gb:
            mark = f" · ↓ {spec.size_gb:g} GB"
        texts = {language: text + mark for language, text in phrases(spec.label).items()}
        return texts["en"] if texts["en"] == texts["ko"] else static(texts)
