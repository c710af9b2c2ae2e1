"""The page's buttons pressed without a browser, by the requests that the page makes itself."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
from gradio_client.utils import apply_diff

from tests.bench.golden_requests import Values


class Page:
    """The page's own requests, which have no endpoint: its buttons, by their elem_id."""

    def __init__(self, address: str, config: Values) -> None:
        """Read which control has which elem_id, and what a button sends."""
        self._http = httpx.Client(base_url=address, timeout=300, params={"lang": "en"})
        self._events = config["dependencies"]
        self._parts = {part["id"]: part["props"] for part in config["components"]}
        for part in config["components"]:
            if part["type"] == "textbox" and part["props"].get("value") is None:
                part["props"]["value"] = ""  # as a browser sends an empty box

    def press(self, button: str, values: Values) -> Values:
        """What a button's click brings to each output that has an elem_id, when it is done."""
        event = self._event(button)
        if event is None:
            return {"error": f"the page has no button {button}"}
        inputs = [self._parts[one] for one in event["inputs"]]
        if unknown := values.keys() - {part.get("elem_id") for part in inputs}:
            return {"error": f"the button {button} sends no {sorted(unknown)}"}
        data = [values.get(part.get("elem_id"), part.get("value")) for part in inputs]
        session = f"{time.monotonic_ns()}"
        body = {"data": data, "fn_index": event["id"], "session_hash": session}
        self._http.post("/gradio_api/queue/join", json=body).raise_for_status()
        names = [self._parts[one].get("elem_id") for one in event["outputs"]]
        results: Values = {}
        for output in self._outputs(session):
            if "error" in output:
                return {"error": output["error"], "title": output.get("title"), **results}
            for name, value in zip(names, output["data"], strict=True):
                if isinstance(value, dict) and value.get("__type__") == "update":
                    value = value.get("value", results.get(name))
                if name:
                    results[name] = value
        return results | self._code(event, session)

    def _code(self, event: Values, session: str) -> Values:
        """The code behind the result: its output is a state, at whose change the page fills the box."""
        for change in self._events:
            states = [part for part, trigger in change["targets"] if trigger == "change"]
            if not set(states) & set(event["outputs"]) or len(change["outputs"]) != 2:
                continue
            name = self._parts[change["outputs"][1]].get("elem_id") or ""
            if name.endswith("-recipe"):
                body = {"data": [None, "python"], "fn_index": change["id"], "session_hash": session}
                answer = self._http.post("/gradio_api/run/predict", json=body).json()
                return {name: answer["data"][1].get("value")}
        return {}

    def _event(self, button: str) -> Values | None:
        for event in self._events:
            for part, trigger in event["targets"]:
                is_own = part in self._parts and self._parts[part].get("elem_id") == button
                if is_own and trigger == "click" and event["outputs"] and event["backend_fn"]:
                    return event
        return None

    def _outputs(self, session: str) -> Iterator[Values]:
        """All outputs of a click, one after the other, each whole (Gradio sends differences)."""
        last: list[Any] | None = None
        where = {"session_hash": session}
        with self._http.stream("GET", "/gradio_api/queue/data", params=where) as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data: ") or "{}")
                kind, output = message.get("msg"), message.get("output")
                if kind == "process_generating" and last is not None:
                    last = [
                        apply_diff(old, new) for old, new in zip(last, output["data"], strict=True)
                    ]
                    yield {"data": last}
                elif kind in ("process_generating", "process_completed"):
                    last = output.get("data")
                    yield output
                if kind == "process_completed":
                    return
