"""The settings that a picture's file carries, as its program wrote them: ours and the field's.

AUTOMATIC1111's web UI, Forge, SD.Next, stable-diffusion.cpp and this program write a text; ComfyUI a
graph; NovelAI, Fooocus, SwarmUI, InvokeAI and Draw Things JSON. sd-parsers, which the tests compare
with, did not read 7 of 25 such files, read 5 wrongly and broke off at one.
Source: github.com/AUTOMATIC1111/stable-diffusion-webui, modules/infotext_utils.py.
"""

import html
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from models.errors import InvalidInput

CHUNK_LIMIT = 20_000  # characters of a text note: ten times the longest prompt
JSON_LIMIT = 500_000  # of ComfyUI's graphs, and bytes of any one chunk

# What a note says, in lower-case letters and digits only -> ImageRequest's names, and "model".
_NAMES = {
    "prompt": "prompt",
    "positiveprompt": "prompt",
    "c": "prompt",  # Draw Things
    "negativeprompt": "negative_prompt",
    "uc": "negative_prompt",  # NovelAI, Draw Things
    "steps": "num_inference_steps",
    "numinferencesteps": "num_inference_steps",
    "cfgscale": "guidance_scale",
    "guidancescale": "guidance_scale",
    "scale": "guidance_scale",
    "cfg": "guidance_scale",
    "seed": "seed",
    "noiseseed": "seed",
    "sampler": "scheduler",
    "samplername": "scheduler",
    "model": "model",
    "modelname": "model",
    "basemodel": "model",
    "usestablediffusionmodel": "model",
    "ckptname": "model",
    "unetname": "model",
    "lora": "lora",  # GenLab's own three
    "lorastrength": "lora_strength",
    "decoder": "decoder",
}
_SIZES = {"size", "resolution"}
_SCHEDULES = {"scheduletype", "scheduler", "noiseschedule"}  # beside a sampler's name
# Keys that say nothing about the picture beyond the others, or only how they came to be.
_SILENT = re.compile(
    r"version|.*hash(es)?|rng|eta|guidance|template|negativetemplate|createddate|civitai.*|parser|backend|"
    r"app|user|operations|pipeline|batch(size|pos)|gentime|time|date|generationtime|.*beta.*|"
    r"hiresmodule.*|metadatascheme|scheme|fullprompt|fullnegativeprompt|performance|adm.*|sharpness|aspectratio|"
    r"swarmversion|width|height|size[12]?|resolution|appversion|software|source|title|description|"
    r"requesttype|signedhash|nsamples|v4.*|legacy.*|dynamicthresholding|generationmode|randdevice|"
    r"type|modelweights|refinerswitch|vaename|clipskip1|positiveprompt2|.*version|sm|smdyn|profile|images|createdby|model1?"
)
# Samplers by other programs' names, in lower-case letters and digits only.
_SAMPLERS = {
    "euler": "Euler",
    "eulera": "Euler a",
    "eulerancestral": "Euler a",
    "heun": "Heun",
    "dpmpp2m": "DPM++ 2M",
    "dpm2m": "DPM++ 2M",
    "dpmpp2mk": "DPM++ 2M Karras",
    "dpmpp2msde": "DPM++ 2M SDE",
    "ddim": "DDIM",
    "plms": "PLMS",
    "pndm": "PNDM",
    "unipc": "UniPC",
    "lcm": "LCM",
}
_KEY = re.compile(r"[\s,|]*([A-Za-z][\w \-/+.()]{0,60}?)\s*:\s*")
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?(?=\s*(?:[,|\n]|$))")
_SIZE = re.compile(r"\(?\s*(\d{1,5})\s*[x×,]\s*(\d{1,5})\s*\)?")
_LORA = re.compile(r"<(?:lora|lyco|hypernet):([^:>]+)", re.IGNORECASE)  # within a prompt
_XMP = re.compile(r"<exif:UserComment>.*?(\{.*\}).*?</exif:UserComment>", re.DOTALL)
_STEPS = re.compile(r'(?:^|(?<=\n)|(?<=\s))Steps: ?"?\d')
_MOST_LINKS = 8  # of a graph from an input to the number or text it has
_NEGATIVE = "Negative prompt:"


@dataclass(slots=True)
class PictureNote:
    """What a picture's file says of how it was made.

    Attributes:
        program: the name of the one that wrote it; "" for one that wrote AUTOMATIC1111's text.
        settings: by ImageRequest's names, and "model"; the scheduler by AUTOMATIC1111's name. Numbers
            are not checked against any limit.
        unread: (key, value) of what was not understood, or has no place here.
    """

    program: str = ""
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    unread: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def take(self, key: str, value: Any) -> None:
        """Take a setting over, by any of its names; what is no setting, or cannot be read, is unread."""
        plain = _plain(key)
        name = _NAMES.get(plain)
        if value is None or value == "" or value == [] or value == "[]":
            if name == "negative_prompt":
                self.settings.setdefault(name, "")
            return
        if plain in _SIZES and (size := _SIZE.fullmatch(str(value).strip())):
            self.settings |= {"width": int(size[1]), "height": int(size[2])}
            return
        if name is None:
            if not _SILENT.fullmatch(plain) and plain not in _SCHEDULES:
                self.unread.append((key, _short(value)))
            return
        read = _setting(name, value)
        if read is None:
            self.unread.append((key, _short(value)))
        else:
            self.settings.setdefault(name, read)


def read_note(file: Path | BinaryIO) -> PictureNote:
    """What a PNG, JPEG or WebP file says of how it was made. Its pixels are never unpacked.

    Raises:
        InvalidInput: it is no such picture (invalid_png), claims more pixels than any picture has
            (invalid_png_huge), its note is too long (invalid_png_chunk) or there is none (invalid_png_plain).
    """
    texts = _texts(file)
    for reader in (_novelai, _comfyui, _by_json, _easy_diffusion):
        note = reader(texts)
        if note is not None and note.settings:
            return note
    for key in ("parameters", "UserComment", "Comment", "Description"):
        text = texts.get(key, "")
        if len(text) > CHUNK_LIMIT:
            raise InvalidInput("invalid_png_chunk", limit=CHUNK_LIMIT)
        # Anything may stand in a comment: "Created with GIMP" is no prompt.
        if text.strip() and (key == "parameters" or _count_names(text[_settings_begin(text) :])):
            return parse_note(text)
    raise InvalidInput("invalid_png_plain")


# ---------------------------------------------------------------- the texts in a file


def _texts(file: Path | BinaryIO) -> dict[str, str]:
    """The texts in a picture's file by the names of their chunks or tags."""
    data = file.read_bytes() if isinstance(file, Path) else file.read()
    try:
        with Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "WEBP"]) as image:
            kind = image.format
            texts = {} if kind == "PNG" else _exif_texts(image)
    except Image.DecompressionBombError:
        raise InvalidInput("invalid_png_huge") from None
    except ValueError:  # Pillow's own limit of a text chunk
        raise InvalidInput("invalid_png_chunk", limit=CHUNK_LIMIT) from None
    except Exception:  # a decoder may raise anything on broken bytes
        raise InvalidInput("invalid_png") from None
    if kind == "PNG":
        for name, text in _png_texts(data):
            texts.setdefault(name, text)
    return texts


def _png_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """The text chunks of a PNG, those behind its pixels too, and of a file that is cut off as well."""
    at = 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length
        if kind not in {b"tEXt", b"zTXt", b"iTXt", b"eXIf"} or len(body) < min(length, 1):
            continue
        if kind == b"eXIf":
            exif = Image.Exif()
            try:
                exif.load(body)
                yield from _tags(exif).items()
            except Exception:  # damaged: Pillow may raise anything
                continue
            continue
        name, _, rest = body.partition(b"\0")
        if kind == b"iTXt":
            is_zip, rest = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
        else:
            is_zip, rest = kind == b"zTXt", rest[1:] if kind == b"zTXt" else rest
        key = name.decode("latin-1")
        text = _as_text(_unpack(rest) if is_zip else rest)
        if key == "XML:com.adobe.xmp" and (comment := _XMP.search(text)):  # Draw Things
            yield "UserComment", html.unescape(comment[1])
        yield ("parameters" if key.lower() == "parameters" else key), text


def _unpack(data: bytes) -> bytes:
    try:
        inflater = zlib.decompressobj()
        text = inflater.decompress(data, JSON_LIMIT)
    except zlib.error:
        return b""
    if inflater.unconsumed_tail:
        raise InvalidInput("invalid_png_chunk", limit=CHUNK_LIMIT)
    return text


def _as_text(data: bytes) -> str:
    """Text of a chunk: UTF-8, which many write where Latin-1 is meant."""
    if len(data) > JSON_LIMIT:
        raise InvalidInput("invalid_png_chunk", limit=CHUNK_LIMIT)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _exif_texts(image: Image.Image) -> dict[str, str]:
    texts = _tags(image.getexif())
    comment = image.info.get("comment")
    if isinstance(comment, bytes):
        texts.setdefault("Comment", _as_text(comment))
    return texts


def _tags(exif: Image.Exif) -> dict[str, str]:
    """The texts in EXIF: the user's comment, and tags into which ComfyUI's nodes write "prompt:..."."""
    texts: dict[str, str] = {}
    for tags in (exif.get_ifd(0x8769), exif):
        for tag, name in ((0x9286, "UserComment"), (0x010E, "Description"), (0x0131, "Software")):
            value = tags.get(tag)
            if value:
                texts.setdefault(name, _comment(value) if isinstance(value, bytes) else str(value))
        for tag in (0x010E, 0x010F, 0x0110):
            name, colon, text = str(tags.get(tag) or "").partition(":")
            if colon and name.lower() in {"prompt", "workflow"} and text.lstrip().startswith("{"):
                texts.setdefault(name.lower(), text.rstrip("\0"))
    return texts


def _comment(value: bytes) -> str:
    """EXIF's UserComment: eight bytes name its encoding."""
    mark, text = value[:8], value[8:]
    if mark == b"UNICODE\0":
        zeros = [text[place::2].count(0) for place in (0, 1)]
        return text.decode("utf-16-be" if zeros[0] >= zeros[1] else "utf-16-le", errors="replace")
    if mark in {b"ASCII\0\0\0", b"JIS\0\0\0\0\0", bytes(8)}:
        value = text
    return _as_text(value.rstrip(b"\0"))


# ---------------------------------------------------------------- AUTOMATIC1111's text


def parse_note(text: str) -> PictureNote:
    """A text of three parts: the prompt, "Negative prompt: ...", and "Key: value" joined by commas.

    The last begins with the steps; it may be wrapped over lines. Text without it is a prompt.
    """
    text = text.strip().replace("\r\n", "\n").replace("\r", "\n")
    begin = _settings_begin(text)
    note = PictureNote()
    head, pairs = text[:begin], _pairs(text[begin:])
    prompt, negative = _prompts(head)
    note.settings |= {"prompt": prompt, "negative_prompt": negative}
    keys = {_plain(key) for key, _ in pairs}
    hires = any(key.startswith("hires") for key in keys)
    note.unread += [("LoRA", name) for name in dict.fromkeys(_LORA.findall(prompt))]
    for key, value in pairs:
        plain = _plain(key)
        if plain == "denoisingstrength":
            if not hires:  # else it is that of the picture enlarged, and there is no start picture
                _take_strength(note, value)
        elif plain == "civitairesources" and isinstance(value, list):
            _take_resources(note, value)
        elif plain == "clipskip" and str(value) == "1":
            continue
        elif plain == "size1" or plain == "size2":
            _take_side(note, "width" if plain == "size1" else "height", value)
        else:
            note.take(key, value)
    schedule = next((value for key, value in pairs if _plain(key) == "scheduletype"), "")
    if schedule:
        note.settings["scheduler"] = _with_schedule(
            note.settings.get("scheduler", ""), str(schedule)
        )
    return note


def _settings_begin(text: str) -> int:
    """Where the settings begin: at the last "Steps:" that begins a line, else within one."""
    steps = [match.start() for match in _STEPS.finditer(text)]
    at_line = [at for at in steps if at == 0 or text[at - 1] == "\n"]
    for begin in [*reversed(at_line), *reversed(steps)]:
        if _count_names(text[begin:]) >= 3:
            return begin
    begin = text.rfind("\n") + 1  # a line without steps
    return begin if _count_names(text[begin:]) >= 3 else len(text)


def _count_names(text: str) -> int:
    keys = {_plain(key) for key, _ in _pairs(text)}
    return len({_NAMES.get(key, key) for key in keys if key in _NAMES or key in _SIZES})


def _pairs(text: str) -> list[tuple[str, Any]]:
    """The keys with their values; a value may be quoted or JSON, and a number have a decimal comma."""
    pairs: list[tuple[str, Any]] = []
    bars = re.match(r"[^,|\n]*\|", text) is not None  # SD.Next
    comma = "[,\\n]" if re.match(r"[^,|\n]*\n", text) else ","  # a line for each setting
    end = re.compile(r"\s*\|\s*|$" if bars else comma + r"(?=\s*[A-Za-z][\w \-/+.()]{0,60}?:)|$")
    at = 0
    while match := _KEY.match(text, at):
        at = match.end()
        value, at = _value(text, at, end)
        pairs.append((match[1].strip(), value))
    return pairs


def _value(text: str, at: int, end: re.Pattern[str]) -> tuple[Any, int]:
    if text[at : at + 1] in {'"', "[", "{"}:
        try:
            value, stop = json.JSONDecoder(strict=False).raw_decode(text, at)
        except (ValueError, RecursionError):
            pass
        else:
            return value, stop
    if number := _NUMBER.match(text, at):
        return number[0], number.end()
    stop = end.search(text, at)
    return (text[at:], len(text)) if stop is None else (text[at : stop.start()].strip(), stop.end())


def _prompts(head: str) -> tuple[str, str]:
    """The prompt and the negative prompt before the settings, each of several lines."""
    head = re.sub(r"(?im)^negative prompt:", _NEGATIVE, head.strip())
    if "\n" not in head and _NEGATIVE in head and not head.startswith(_NEGATIVE):
        head = head.replace(_NEGATIVE, f"\n{_NEGATIVE}", 1)
    parts: tuple[list[str], list[str]] = ([], [])
    is_negative = False
    for line in head.split("\n"):
        plain = line.strip()
        is_negative = is_negative or plain.startswith(_NEGATIVE)
        parts[is_negative].append(plain.removeprefix(_NEGATIVE).strip() if is_negative else line)
    prompt = "\n".join(parts[0]).strip()
    if re.match(r"(?i)prompt: ", prompt) and (parts[1] or "\n" not in prompt):  # SD.Next
        prompt = prompt[len("prompt: ") :].strip()
    return prompt, "\n".join(parts[1]).strip()


def _take_strength(note: PictureNote, value: Any) -> None:
    strength = _decimal(value)
    if strength is None:
        note.unread.append(("Denoising strength", _short(value)))
    else:
        note.settings["strength"] = float(strength)


def _take_side(note: PictureNote, name: str, value: Any) -> None:
    side = _decimal(value)
    if side is not None:
        note.settings.setdefault(name, int(side))


def _take_resources(note: PictureNote, resources: list[Any]) -> None:
    """Civitai's list of what made the picture: the model, and LoRAs, which have no place here."""
    for one in resources:
        if not isinstance(one, dict):
            continue
        name = str(one.get("modelName") or one.get("modelVersionId") or "")
        if one.get("type") == "checkpoint" and name:
            note.take("Model", name)
        elif one.get("type"):
            note.unread.append((str(one["type"]), _short(name)))


# ---------------------------------------------------------------- other programs


def _novelai(texts: Mapping[str, str]) -> PictureNote | None:
    if "novelai" not in (texts.get("Software", "") + texts.get("Title", "")).lower():
        return None
    values = _object(texts.get("Comment", "")) or {}
    values = {"prompt": texts.get("Description", ""), **values}
    image_to_image = "img2img" in str(values.get("request_type", "")).lower()
    note = _flat("NovelAI", values, image_to_image)
    match values.get("v4_prompt"):
        case {"caption": {"char_captions": [*characters]}}:
            note.unread += [
                ("char_caption", _short(one.get("char_caption", "")))
                for one in characters
                if isinstance(one, dict)
            ]
    return note


def _by_json(texts: Mapping[str, str]) -> PictureNote | None:
    """The programs that write one JSON object, each under a key of its own."""
    for key in (
        "parameters",
        "invokeai_metadata",
        "sd-metadata",
        "UserComment",
        "Comment",
        "XML:com.adobe.xmp",
    ):
        values = _object(texts.get(key, ""))
        if not values:
            continue
        if isinstance(values.get("sui_image_params"), dict):
            return _flat("SwarmUI", values["sui_image_params"])
        if key == "invokeai_metadata":
            return _flat("InvokeAI", values)
        if key == "sd-metadata":
            image = values.pop("image", None)
            return _flat("InvokeAI", {**(image if isinstance(image, dict) else {}), **values})
        if texts.get("fooocus_scheme") or "fooocus" in str(values.get("version", "")).lower():
            return _flat("Fooocus", values)
        if "uc" in values and "c" in values:
            return _flat("Draw Things", values)
        return _flat("JSON", values)
    return None


def _easy_diffusion(texts: Mapping[str, str]) -> PictureNote | None:
    """A chunk for each setting."""
    if "num_inference_steps" not in texts and "use_stable_diffusion_model" not in texts:
        return None
    return _flat("Easy Diffusion", dict(texts))


def _flat(program: str, values: Mapping[str, Any], image_to_image: bool = False) -> PictureNote:
    note = PictureNote(program)
    for key, value in values.items():
        if isinstance(value, dict):
            inner = value.get("model_name") or value.get("name") if _plain(key) == "model" else None
            value = inner or (None if _SILENT.fullmatch(_plain(key)) else value)
        if key == "prompt" and isinstance(value, list):  # InvokeAI 2
            value = " ".join(
                str(one.get("prompt", "") if isinstance(one, dict) else one) for one in value
            )
        if _plain(key) in {"strength", "denoisingstrength", "noise"}:
            if image_to_image and _plain(key) == "strength":
                _take_strength(note, value)
            continue
        if _plain(key) in {"width", "height"}:
            _take_side(note, _plain(key), value)
        elif _NAMES.get(_plain(key)) in {"seed", "guidance_scale"} or not _says_nothing(value):
            note.take(key, value)
    schedule = next((v for k, v in values.items() if _plain(k) in _SCHEDULES), "")
    _add_schedule(note, str(schedule or ""))
    return note


def _says_nothing(value: Any) -> bool:
    """Whether a value is what a program writes where something was not used."""
    return value in (False, 0, "None", "none") or (isinstance(value, dict | list) and not value)


def _comfyui(texts: Mapping[str, str]) -> PictureNote | None:
    """ComfyUI's graph of nodes: what is linked to its sampler."""
    graph = _object(texts.get("prompt", ""))
    if not graph or not all(isinstance(node, dict) and "inputs" in node for node in graph.values()):
        return None
    nodes = {name: node for name, node in graph.items() if isinstance(node["inputs"], dict)}
    samplers = [
        name
        for name, node in nodes.items()
        if "ampler" in str(node.get("class_type")) and "Select" not in str(node.get("class_type"))
    ]
    note = PictureNote("ComfyUI")
    if not samplers:
        return note
    start = next((one for one in samplers if not _others_before(nodes, one, samplers)), samplers[0])
    for name, keys in {
        "seed": ("seed", "noise_seed"),
        "num_inference_steps": ("steps",),
        "guidance_scale": ("cfg",),
        "scheduler": ("sampler_name",),
        "model": ("ckpt_name", "unet_name"),
        "width": ("width",),
        "height": ("height",),
    }.items():
        value = _upstream(nodes, [start], keys)
        read = value if value is None else _setting(name, value)
        if read is not None:
            note.settings[name] = read
    _add_schedule(note, str(_upstream(nodes, [start], ("scheduler",)) or ""))
    for name, sides in {
        "prompt": ("positive", "guider", "conditioning"),
        "negative_prompt": ("negative",),
    }.items():
        ends = [link[0] for side in sides if (link := _link(nodes[start]["inputs"].get(side)))]
        guiders = [nodes[end]["inputs"] for end in ends if end in nodes]
        ends += [link[0] for inputs in guiders if (link := _link(inputs.get(sides[0])))][:1]
        if name == "negative_prompt" and not ends:
            continue
        ends = ends[::-1][:1]
        if any("ZeroOut" in str(nodes[end].get("class_type")) for end in ends if end in nodes):
            note.settings[name] = ""
            continue
        text = _upstream(
            nodes,
            ends,
            ("text", "text_g", "t5xxl", "clip_l", "prompt", "value", "string"),
        )
        if isinstance(text, str):
            note.settings[name] = text.strip()
    denoise = _decimal(_upstream(nodes, [start], ("denoise",)))
    kinds = {str(node.get("class_type")) for node in nodes.values()}
    if denoise is not None and denoise < 1 and any("LoadImage" in kind for kind in kinds):
        note.settings["strength"] = float(denoise)
    for kind in sorted(kinds):
        if re.search(r"Lora|ControlNet|Upscale|IPAdapter|Refiner|FluxGuidance", kind):
            note.unread.append((kind, ""))
    if len(samplers) > 1:
        note.unread.append(("samplers", str(len(samplers))))
    return note


def _others_before(nodes: Mapping[str, Any], start: str, samplers: list[str]) -> bool:
    """Whether a sampler goes on with what another one has drawn."""
    visits: set[str] = set()
    queue = [start]
    while queue:
        name = queue.pop()
        if name in visits or name not in nodes:
            continue
        visits.add(name)
        queue += [link[0] for one in nodes[name]["inputs"].values() if (link := _link(one))]
    return len(visits & set(samplers)) > 1


def _link(value: Any) -> list[str] | None:
    return [str(value[0])] if isinstance(value, list) and len(value) == 2 else None


def _upstream(nodes: Mapping[str, Any], ends: list[str], keys: tuple[str, ...]) -> Any:
    """The first value under one of the keys in nodes or what is linked to them, the nearest first."""
    visits: set[str] = set()
    queue = list(ends)
    while queue:
        name = queue.pop(0)
        if name in visits or name not in nodes:
            continue
        visits.add(name)
        inputs = nodes[name]["inputs"]
        for key in keys:
            value = _follow(nodes, inputs.get(key), keys)
            if value is not None and value != "":
                return value
        queue += [link[0] for value in inputs.values() if (link := _link(value))]
    return None


def _follow(nodes: Mapping[str, Any], value: Any, keys: tuple[str, ...]) -> Any:
    """A value; where it is linked to nodes that give a number or a text, theirs."""
    for _ in range(_MOST_LINKS):
        link = _link(value)
        if link is None:
            return None if isinstance(value, dict | list) else value
        inputs = nodes[link[0]]["inputs"] if link[0] in nodes else {}
        if isinstance(inputs.get("string_a"), str) and isinstance(inputs.get("string_b"), str):
            return str(inputs.get("delimiter") or "").join((inputs["string_a"], inputs["string_b"]))
        values = (inputs.get(key) for key in (*keys, "value", "int", "float", "string", "seed"))
        value = next((one for one in values if one not in (None, "")), None)
    return None


# ---------------------------------------------------------------- values


def _object(text: str) -> dict[str, Any] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _setting(name: str, value: Any) -> Any:
    """A setting's value; None for one that cannot be read."""
    if isinstance(value, dict | list | bool):
        return None
    if name in {"num_inference_steps", "seed", "width", "height"}:
        number = _decimal(value)
        whole = number is not None and number == int(number) and number >= 0  # -1: drawn, not noted
        return int(number) if number is not None and whole else None
    if name in {"guidance_scale", "lora_strength"}:
        number = _decimal(value)
        return None if number is None else float(number)
    text = str(value).strip()
    return _sampler(text) if name == "scheduler" else text


def _decimal(value: Any) -> Decimal | None:
    """A number, also of text, with a decimal point or comma; exact, however large."""
    try:
        number = Decimal(str(value).strip().replace(",", "."))
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < Decimal(10) ** 30 else None


def _sampler(name: str) -> str:
    """AUTOMATIC1111's name of a sampler; another program's unknown one as it is."""
    plain = re.sub(r"_gpu$| discrete$", "", name.lower().strip())
    plain = re.sub(r"[^a-z0-9]", "", plain.removeprefix("k_").replace("+", "p"))
    schedule = " Karras" if plain.endswith("karras") else ""
    own_name = _SAMPLERS.get(plain.removesuffix("karras"))
    return own_name + schedule if own_name else name


def _add_schedule(note: PictureNote, schedule: str) -> None:
    if schedule and note.settings.get("scheduler"):
        note.settings["scheduler"] = _with_schedule(note.settings["scheduler"], schedule)
    elif schedule:
        note.settings["scheduler"] = _sampler(schedule)


def _with_schedule(name: str, schedule: str) -> str:
    """A sampler's name with its schedule, which is a key of its own since version 1.10."""
    schedule = schedule.strip().capitalize()
    if schedule.lower() in {"automatic", "uniform", "normal", "native", "none", ""}:
        return name
    return name if name.lower().endswith(schedule.lower()) else f"{name} {schedule}"


def _plain(key: str) -> str:
    return re.sub(r"[^a-z0-9]", "", key.lower())


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:59]}…"
