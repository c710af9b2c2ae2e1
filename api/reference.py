"""GET /docs: the API in plain words, from its own OpenAPI schema; nothing is loaded from elsewhere."""

import html
import re
from collections.abc import Iterator
from typing import Any

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid; padding-bottom: .2rem; }
section { margin: 1.5rem 0; }
h3 { font: 600 1rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; margin-bottom: .2rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; display: block; overflow-x: auto; }
td, th { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid #8886; border-radius: .4rem; font-size: .85rem; }
"""
# A body that works as it stands, for the example of each resource.
EXAMPLES = {
    "/api/v1/chat": '{"messages": [{"role": "user", "content": "Hello!"}], "seed": 1}',
    "/api/v1/next-token": '{"text": "How are", "likeliest": 5}',
    "/api/v1/images": '{"prompt": "a panda in the snow at night", "seed": 1}',
    "/api/v1/sentiment": '{"text": "I love it"}',
    "/api/v1/explanations": '{"text": "I love it"}',
    "/api/v1/similarity": '{"sentences": ["A man plays a guitar.", "Someone makes music."]}',
    "/api/v1/search": '{"query": "refund", "lines": ["Get your money back", "Log in"], "k": 1}',
    "/v1/chat/completions": '{"model": "auto", "messages": [{"role": "user", "content": "Hello!"}]}',
    "/v1/completions": '{"model": "auto", "prompt": "Hello!"}',
    "/v1/embeddings": '{"model": "auto", "input": ["a cat", "a dog"]}',
    "/v1/images/generations": '{"model": "auto", "prompt": "a red circle"}',
}


def page(schema: dict[str, Any], base: str) -> str:
    """The page as HTML.

    Args:
        schema: OpenAPI's.
        base: the address of the server, without a slash at its end, for the examples.
    """
    parts = [_paragraphs(schema["info"]["description"])]
    for tag in schema["tags"]:
        parts.append(f"<h2>{_words(tag['description'].rstrip('.'))}</h2>")
        for path, methods in schema["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation.get("tags", ()):
                    parts.append(_operation(schema, base, path, method, operation))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>GenLab API</title><style>{_STYLE}</style>'
        f'<h1>GenLab API</h1>{"".join(parts)}<p><a href="openapi.json">openapi.json</a></p></html>'
    )


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_words(part)}</p>" for part in text.strip().split("\n\n"))


def _words(text: str) -> str:
    """Text of a docstring as HTML, with what stands in backticks as code."""
    return re.sub("`+([^`]+)`+", r"<code>\1</code>", html.escape(text))


def _operation(
    schema: dict[str, Any], base: str, path: str, method: str, operation: dict[str, Any]
) -> str:
    rows = "".join(_row(*field) for field in _fields(schema, operation))
    table = rows and f"<table><tr><th>field<th>type<th>default<th>what it is</tr>{rows}</table>"
    example = ""
    if body := EXAMPLES.get(path):
        curl = f"curl {base}{path} -H 'Content-Type: application/json' -d '{body}'"
        example = f"<pre>{html.escape(curl)}</pre>"
    words = _paragraphs(operation.get("description", operation.get("summary", "")))
    return (
        f"<section><h3>{method.upper()} {html.escape(path)}</h3>{words}{table}{example}</section>"
    )


def _fields(
    schema: dict[str, Any], operation: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """(name, schema, whether it is required) of each parameter and field of the body."""
    for parameter in operation.get("parameters", ()):
        yield parameter["name"], parameter["schema"], parameter.get("required", False)
    content = operation.get("requestBody", {}).get("content", {})
    reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    body = schema["components"]["schemas"].get(reference.rpartition("/")[2], {})
    for name, field in body.get("properties", {}).items():
        yield name, field, name in body.get("required", ())


def _row(name: str, field: dict[str, Any], necessary: bool) -> str:
    cells = (name, _kind(field), "required" if necessary else _default(field))
    words = _words(field.get("description", ""))
    return "<tr>" + "".join(f"<td>{html.escape(cell)}" for cell in cells) + f"<td>{words}</tr>"


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    return "" if value is None else repr(value) if isinstance(value, str) else str(value)


def _kind(field: dict[str, Any]) -> str:
    """A field's type with its limits, such as "number, 0 to 2"."""
    if options := field.get("anyOf"):
        return " or ".join(kind for one in options if (kind := _kind(one)) != "null")
    if "$ref" in field:
        return field["$ref"].rpartition("/")[2]
    if "enum" in field or "const" in field:
        return " | ".join(map(str, field.get("enum", [field.get("const")])))
    if field.get("type") == "array":
        return f"list of {_kind(field.get('items', {}))}"
    low = field.get("minimum", field.get("exclusiveMinimum"))
    high = field.get("maximum", field.get("exclusiveMaximum"))
    span = f", {low:g} to {high:g}" if low is not None and high is not None else ""
    size = f", up to {field['maxLength']:,} characters" if "maxLength" in field else ""
    return field.get("type", "") + span + size
