"""Pressing "Send" of the chat tab without a browser: the same requests that the page makes."""

import html
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx

_sessions = itertools.count()


class ChatPage:
    """A visitor's chat tab of a running app.

    Args:
        url: of the app.
        language: of the page.
        **inputs: what stands in the controls, by elem_id (chat_model="openai"); the others are as drawn.
    """

    def __init__(self, url: str, language: str = "en", **inputs: Any) -> None:
        self._language = language
        self._http = httpx.Client(base_url=url, timeout=120, params={"lang": language})
        config = self._http.get("/config").json()
        parts = {part["id"]: part["props"] for part in config["components"]}
        start = next(id_ for id_, part in parts.items() if part.get("elem_id") == "chat-start")
        self._event = next(
            one
            for one in config["dependencies"]
            if one["backend_fn"] and [start, "click"] in map(list, one["targets"])
        )
        self._names = [str(parts[id_].get("elem_id")) for id_ in self._event["inputs"]]
        values = [parts[id_].get("value") for id_ in self._event["inputs"]]
        self._values = dict(zip(self._names, values, strict=True))
        self._values = self._with(inputs)

    def _with(self, inputs: dict[str, Any]) -> dict[str, Any]:
        new = {name.replace("_", "-"): value for name, value in inputs.items()}
        assert new.keys() <= self._values.keys(), new
        return self._values | new

    def send(self, message: Any, **inputs: Any) -> dict[str, Any]:
        """Send a message as a new visitor; returns the queue's last word on it.

        Args:
            message: what stands in the box.
            **inputs: as above, for this message.

        Returns:
            "success" and "output", which has the "error" that stands at the box.
        """
        values = self._with(inputs | {"chat_message": message})
        session = f"visitor{next(_sessions)}"
        data = [values[name] for name in self._names]
        ask = {"data": data, "fn_index": self._event["id"], "session_hash": session}
        kind = {"content-type": "application/json"}  # json.dumps: half letters travel too
        reply = self._http.post("/gradio_api/queue/join", content=json.dumps(ask), headers=kind)
        reply.raise_for_status()
        end = next(one for one in self._messages(session) if one["msg"] == "process_completed")
        problem = re.search(
            rf'class="problem-line".*?<span class="in-{self._language}"[^>]*>(.*?)</span>',
            "".join(str(value) for value in end["output"].get("data", ())),
        )
        if problem:
            return {"success": False, "output": {"error": html.unescape(problem[1])}}
        return end

    def _messages(self, session: str) -> Iterator[dict[str, Any]]:
        where = {"session_hash": session}
        with self._http.stream("GET", "/gradio_api/queue/data", params=where) as stream:
            rest = ""
            for text in stream.iter_text():
                *events, rest = (rest + text).split("\n\n")
                yield from (json.loads(event.removeprefix("data: ")) for event in events)

    def close(self) -> None:
        """Leave the page."""
        self._http.close()
