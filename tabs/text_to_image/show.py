"""The picture while it forms, and what is to be said about it, as HTML."""

import base64
import html
import math
from collections.abc import Sequence

from models.text_to_image.events import GridDone, ImagesDone, Sketch, StepDone
from tabs.shared.events import line
from tabs.shared.strings import both

TAB = "text_to_image"


def empty() -> str:
    """What to do first."""
    return f"<p>{both(f'{TAB}.empty')}</p>"


def forming(preview: Sketch | None, step: StepDone | None, count: int, seconds: float) -> str:
    """The newest preview over a bar with step, picture and the time that is left.

    Args:
        preview: the newest.
        step: the newest step; None before the first.
        count: how many pictures are asked for.
        seconds: since the first step began.
    """
    picture = '<div class="forming-picture"></div>'
    if preview:
        data = base64.b64encode(preview.jpeg).decode()
        picture = f'<img class="forming-picture" alt="" src="data:image/jpeg;base64,{data}">'
    if step is None:
        return picture
    each = max(1, step.total // count)
    params = {
        "step": (step.step - 1) % each + 1,
        "steps": each,
        "left": math.ceil(seconds / step.step * (step.total - step.step)),
    }
    words = both(f"{TAB}.step", **params)
    if count > 1:
        number = both(f"{TAB}.picture", number=(step.step - 1) // each + 1, count=count)
        words = f"{number} · {words}"
    return f"{picture}{_progress(step)}{line(words)}"


def bar(step: StepDone, seconds: float) -> str:
    """A bar over the whole of a grid, with the time that is left.

    Args:
        step: the newest.
        seconds: since the first step began.
    """
    left = math.ceil(seconds / step.step * (step.total - step.step))
    words = both(f"{TAB}.step", step=step.step, steps=step.total, left=left)
    return f"{_progress(step)}{line(words)}"


def _progress(step: StepDone) -> str:
    done = round(100 * step.step / step.total)
    return (
        f'<div class="progress" role="progressbar" aria-label="{done} %" aria-valuenow="{done}">'
        f'<div style="width:{done}%"></div></div>'
    )


def grid_notes(done: GridDone) -> str:
    """Remarks on a grid: unknown words, a cut prompt, cells drawn together."""
    return _noted(_on_prompt(done))


def _on_prompt(done: ImagesDone | GridDone) -> list[str]:
    said: list[str] = []
    if done.unknown:
        said.append(both(f"{TAB}.unknown", words=", ".join(done.unknown)))
    if done.cut:
        said.append(both(f"{TAB}.cut", words=done.cut))
    if done.batch > 1:
        said.append(both(f"{TAB}.batched", batch=done.batch))
    return said


def notes(done: ImagesDone, ignored: bool) -> str:
    """Remarks on a result: those on its prompt, blanked pictures, dials without effect."""
    said = _on_prompt(done)
    if any(done.flagged):
        numbers = ", ".join(str(i + 1) for i, flag in enumerate(done.flagged) if flag)
        said.append(both(f"{TAB}.flagged", numbers=numbers))
    if ignored:
        said.append(both(f"{TAB}.ignored"))
    return _noted(said)


def _noted(said: Sequence[str]) -> str:
    return "".join(f'<p class="note">{one}</p>' for one in said)


def seeds(drawn: Sequence[int]) -> list[str]:
    """The seeds for the line under the result."""
    if not drawn:
        return []
    shown = str(drawn[0]) if len(drawn) == 1 else f"{drawn[0]} – {drawn[-1]}"
    return [both("result.seed", seed=html.escape(shown))]
