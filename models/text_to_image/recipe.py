"""The Python behind a picture, and the same over HTTP."""

import json
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.contract import ModelSpec, Placement
from models.errors import ModelError
from models.serving import App, HttpCall, Say
from models.settings import Settings
from models.text_to_image import single_file
from models.text_to_image.autoencoder import needs_adapter
from models.text_to_image.diffusers_engine import variant
from models.text_to_image.openai_engine import arguments as hosted_arguments
from models.text_to_image.parts import lora_spec, tiny_decoder_of, weight_name
from models.text_to_image.requests import ImageGridRequest, ImageRequest, LeaveOutRequest
from models.text_to_image.schedulers import SCHEDULERS
from models.text_to_image.vocabulary import Vocabulary
from models.weights import hub, safetensors_files
from models.weights.sources import STARTERS

_LOCAL = """\
{imports}import torch
from diffusers import {classes}
{pillow}
{autoencoder}{threads}{read}
    {options},
).to({device!r})
{prediction}{parts}{memory_format}{scheduler}{start}
# GenLab sums in another order: {likeness}.
{loop}
"""

_LIKENESS = "on a CPU a pixel may differ by one or two of 255 (PSNR over 50 dB)"
_LIKENESS_IN_HALVES = "pixels may differ a little, but nobody sees it (PSNR over 35 dB)"

# A starter's autoencoder, see models/text_to_image/autoencoder.py.
_AUTOENCODER = """\

class Autoencoder(AutoencoderDC):
    \"""The model's autoencoder, called as the pipeline calls AutoencoderKL.\"""

    def encode(self, x):
        return SimpleNamespace(latents=super().encode(x).latent)

    def decode(self, z, return_dict=True, generator=None):
        return super().decode(z, return_dict=return_dict)


vae = Autoencoder.from_pretrained({folder!r})
"""

_CHANNELS_LAST = """\
for name in {"unet", "vae"} & pipe.components.keys():  # faster convolutions on a CPU
    pipe.components[name].to(memory_format=torch.channels_last)
"""

_READ = """\
pipe = AutoPipelineForText2Image.from_pretrained(
    {source!r},{where}"""

# Its configurations and the tokenizer ship with GenLab.
_READ_FILE = """\
folder = Path(os.environ["GENLAB_MODELS_DIR"])  # where the file is
layouts = "models/text_to_image/layouts"  # run this in GenLab's folder
pipe = {kind}.from_single_file(
    str(folder / {name!r}),
    config=f"{{layouts}}/{layout}",
{tokenizers}
    local_files_only=True,"""

_PREDICTION = """\
training = prediction({layout!r}, folder / {name!r}, pipe.unet)  # of noise or of velocity
pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, **training)
"""

_TINY = """\
pipe.vae = AutoencoderTiny.from_pretrained({repository!r}, dtype={dtype}).to({device!r})
"""

_LORA = """\
pipe.load_lora_weights({where}, weight_name={file!r}, adapter_name="lora")
pipe.set_adapters(["lora"], [{strength!r}])
pipe.to({dtype})  # the LoRA too
"""

_START = """\
pipe = AutoPipelineForImage2Image.from_pipe(pipe)  # the same weights
start = Image.open("start.png").convert("RGB")  # the picture that it started from
start = ImageOps.fit(start, ({width}, {height}), Image.Resampling.LANCZOS)
"""

_OWN_SIDE = """\
unet = pipe.components.get("unet")
side = (unet.config.sample_size if unet else pipe.default_sample_size) * pipe.vae_scale_factor
"""

_BY_SERVER = """\
import base64
from pathlib import Path

from openai import OpenAI

client = OpenAI()  # takes OPENAI_API_KEY, and OPENAI_BASE_URL for another server, from the environment
answer = client.images.generate(
    {options},
)
for number, image in enumerate(answer.data, 1):
    Path(f"picture-{{number}}.png").write_bytes(base64.b64decode(image.b64_json))
"""


def python(spec: ModelSpec, request: ImageRequest | ImageGridRequest, placement: Placement) -> str:
    """The script behind the pictures. On a CPU it draws the same pictures (PSNR over 50 dB).

    Args:
        spec: the model.
        request: with all values, so with a real seed; for a hosted model with its model_name.
        placement: where it ran.
    """
    if isinstance(request, ImageRequest) and spec.hosted:
        values = {"model": request.model_name, **hosted_arguments(request)}
        return _BY_SERVER.format(options=",\n    ".join(f"{k}={v!r}" for k, v in values.items()))
    return _script(spec, request, placement, _loop(request, _vocabulary(spec)))


def _vocabulary(spec: ModelSpec) -> Vocabulary | None:
    return Vocabulary.read(STARTERS / spec.name) if spec.starter else None


def _script(
    spec: ModelSpec, request: ImageRequest | ImageGridRequest, placement: Placement, loop: str
) -> str:
    """The script that loads the pipeline, with the lines that use it."""
    options = {"dtype": f"torch.{placement.dtype}"}
    folder = hub.cached_path(spec) if spec.source.startswith("hub:") else None
    if folder is not None and variant(folder, placement.dtype):
        options["variant"] = "'fp16'"
    file = _single_file(spec) if spec.scheme == "file" else None
    classes, scheduler = [file.kind if file else "AutoPipelineForText2Image"], ""
    if file is None:
        options["use_safetensors"] = "True"
    parts = _parts(spec, request, placement, folder, file)
    if request.decoder:
        classes.append("AutoencoderTiny")
    if request.scheduler:
        kind, settings = SCHEDULERS[request.scheduler]
        classes.append(kind)
        changes = "".join(f", {name}={value!r}" for name, value in settings.items())
        scheduler = f"pipe.scheduler = {kind}.from_config(pipe.scheduler.config{changes})\n"
    autoencoder = ""
    if spec.starter and needs_adapter(STARTERS / spec.name):
        classes.append("AutoencoderDC")
        options["vae"] = "vae"
        autoencoder = _AUTOENCODER.format(folder=f"models/starter/{spec.name}/vae")
    start = ""
    if request.image is not None:
        classes.append("AutoPipelineForImage2Image")
        start = _start(request)
    return _LOCAL.format(
        imports=("from types import SimpleNamespace\n\n" if autoencoder else "")
        + _imports(request, file),
        read=file.read if file else _read(spec),
        prediction=file.prediction if file else "",
        parts=parts,
        classes=", ".join(sorted(classes)),
        pillow="from PIL import Image, ImageOps\n" if start else "",
        autoencoder=autoencoder,
        threads=f"torch.set_num_threads({placement.threads})\n" if placement.threads else "",
        options=",\n    ".join(f"{name}={value}" for name, value in options.items()),
        device=placement.device,
        memory_format=_CHANNELS_LAST if placement.device == "cpu" else "",
        scheduler=scheduler,
        start=start,
        likeness=_LIKENESS if placement.dtype == "float32" else _LIKENESS_IN_HALVES,
        loop=loop,
    )


def _read(spec: ModelSpec) -> str:
    return _READ.format(
        source=f"models/starter/{spec.name}" if spec.starter else spec.name,
        where="  # run this in GenLab's folder" if spec.starter else "",
    )


@dataclass(frozen=True, slots=True)
class _SingleFile:
    """The lines for a single file; what they depend on is in its header."""

    kind: str
    layout: str
    read: str
    prediction: str


def _single_file(spec: ModelSpec) -> _SingleFile:
    layout, models = "sd1", Settings.read().models_dir
    shapes: Collection[str] = ()
    with suppress(ModelError):  # it is gone by now
        header = safetensors_files.read((models or Path()).expanduser() / spec.name)
        layout, shapes = header.layout or layout, header.shapes
    names = ("tokenizer", "tokenizer_2")
    tokenizers = "\n".join(
        f'    {name}=CLIPTokenizer.from_pretrained(f"{{layouts}}/tokenizer", pad_token={padding!r}),'
        for name, padding in zip(names, single_file.PADDING[layout], strict=False)
    )
    kind, special = single_file.CLASSES[layout], layout == "sd2" or "v_pred" in shapes
    return _SingleFile(
        kind,
        layout,
        _READ_FILE.format(kind=kind, name=spec.name, layout=layout, tokenizers=tokenizers),
        _PREDICTION.format(layout=layout, name=spec.name) if special else "",
    )


def _imports(request: ImageRequest | ImageGridRequest, file: _SingleFile | None) -> str:
    lines: list[str] = []
    if file or (request.lora.startswith("file:") and request.lora_strength):
        lines.append("import os\n")
    if file:
        lines += ["from pathlib import Path\n\n", "from transformers import CLIPTokenizer\n"]
        if file.prediction:
            lines.append("from models.text_to_image.single_file import prediction\n")
    return "".join(lines)


def _parts(
    spec: ModelSpec,
    request: ImageRequest | ImageGridRequest,
    placement: Placement,
    folder: Path | None,
    file: _SingleFile | None,
) -> str:
    """Lines for the LoRA and the tiny decoder."""
    values = {"dtype": f"torch.{placement.dtype}", "device": placement.device}
    lines = ""
    if request.decoder:
        own = single_file.LAYOUTS / file.layout if file else folder
        try:
            config = json.loads(((own or Path()) / "vae" / "config.json").read_bytes())
        except (OSError, ValueError):
            config = {}
        repository = tiny_decoder_of(config) or "madebyollin/taesd"
        lines += _TINY.format(repository=repository, **values)
    if request.lora and request.lora_strength:
        lora = lora_spec(request.lora)
        where, name = repr(lora.name.partition(":")[0]), lora.name.partition(":")[2]
        if lora.scheme == "file":
            where, name = 'os.environ["GENLAB_MODELS_DIR"]', lora.name
        elif not name and (snapshot := hub.cached_path(lora)):
            name = weight_name(lora, snapshot)
        values |= {"where": where, "file": name or "pytorch_lora_weights.safetensors"}
        lines += _LORA.format(strength=request.lora_strength, **values)
    return lines


def _start(request: ImageRequest | ImageGridRequest) -> str:
    """Lines that open the start picture; in the pipeline's own size if the request has none."""
    start = _START.format(width=request.width or "side", height=request.height or "side")
    return start if request.width and request.height else _OWN_SIDE + start


def _loop(request: ImageRequest | ImageGridRequest, vocabulary: Vocabulary | None) -> str:
    """The lines that draw. Of a model with words of its own they hold what it reads of the prompt."""
    if isinstance(request, LeaveOutRequest):
        prompts = [vocabulary.reading(one) if vocabulary else one for one in request.prompts]
        return _ablation(request, prompts)
    unknown: tuple[str, ...] = ()
    if vocabulary:
        unknown = vocabulary.unknown(f"{request.prompt} {request.negative_prompt}")
        request = request.model_copy(update=vocabulary.own_words(request))
    loop = _grid(request) if isinstance(request, ImageGridRequest) else _pictures(request)
    remark = f"# Left out, since the model has not learnt the words: {', '.join(unknown)}.\n"
    return remark + loop if unknown else loop


def _dials(request: ImageRequest) -> dict[str, str]:
    values = {
        "guidance_scale": request.guidance_scale,
        "num_inference_steps": request.num_inference_steps,
    }
    return {name: repr(value) for name, value in values.items() if value is not None}


def _pictures(request: ImageRequest) -> str:
    seeds = [request.seed + k for k in range(request.num_images)]
    call = _call(request, _dials(request))
    return f"for seed in {seeds}:\n{call}" + '    image.save(f"picture-{seed}.png")'


def _ablation(request: LeaveOutRequest, prompts: list[str]) -> str:
    call = _call(request, _dials(request) | {"prompt": "prompt"})
    return (
        f"seed = {request.seed}\n"
        f"for number, prompt in enumerate({prompts!r}, 1):\n{call}"
        '    image.save(f"cell-{number}.png")'
    )


def _grid(request: ImageGridRequest) -> str:
    cells = [(one.guidance_scale, one.num_inference_steps, one.seed) for one in request.singles()]
    names = ("guidance_scale", "num_inference_steps")
    return (
        f"for number, ({', '.join(names)}, seed) in enumerate({cells}, 1):\n"
        f"{_call(request, {name: name for name in names})}"
        '    image.save(f"cell-{number}.png")'
    )


def _call(request: ImageRequest | ImageGridRequest, dials: dict[str, str]) -> str:
    """The call in the loop, with the request's values, and with `dials` as expressions."""
    from_picture = request.image is not None
    values: dict[str, object] = {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt or None,
        "width": None if from_picture else request.width,
        "height": None if from_picture else request.height,
        "strength": request.strength if from_picture else None,
    }
    arguments = {name: repr(value) for name, value in values.items() if value is not None}
    arguments |= ({"image": "start"} if from_picture else {}) | dials
    lines = "".join(f"        {name}={value},\n" for name, value in arguments.items())
    return (
        f"    image = pipe(\n{lines}"
        '        generator=torch.Generator("cpu").manual_seed(seed),\n    ).images[0]\n'
    )


# ---------------------------------------------------------------- over HTTP

_CLIENT = """\
import base64
from pathlib import Path

answer = client.images.generate(
    {options},
)
for number, image in enumerate(answer.data, 1):
    Path(f"picture-{{number}}.png").write_bytes(base64.b64decode(image.b64_json))"""

_APP_HOSTED = """\
import base64

from openai import OpenAI

client = OpenAI()  # takes OPENAI_API_KEY, and OPENAI_BASE_URL for another server, from the environment
"""
_WORK_HOSTED = """\
answer = client.images.generate(
    prompt=request.prompt,
    {options},
)
return Response(base64.b64decode(answer.data[0].b64_json), media_type="image/png")"""

_WORK = """\
file = io.BytesIO()
image.save(file, "PNG")
return Response(file.getvalue(), media_type="image/png")"""

PNG = "picture.png"
_FIELDS = {"negative_prompt": "str", "guidance_scale": "float", "num_inference_steps": "int"}


def call(spec: ModelSpec, request: Any, placement: Placement, say: Say) -> HttpCall | None:
    """The picture as a request over HTTP, and its model behind a server of one's own; None for a grid."""
    if not isinstance(request, ImageRequest) or isinstance(request, LeaveOutRequest):
        return None
    if spec.hosted:
        return _call_of_server(request)
    optional = ("negative_prompt", "guidance_scale", "num_inference_steps", "width", "height")
    values = {n: getattr(request, n) for n in (*optional, "scheduler", "lora", "decoder")}
    body = {name: value for name, value in values.items() if value not in (None, "")}
    body = {"model": spec.id, "prompt": request.prompt, **body, "seed": request.seed}
    if request.lora:
        body["lora_strength"] = request.lora_strength
    if request.num_images > 1:
        body["num_images"] = request.num_images
    upload = None
    if request.image is not None:
        upload = ("image", "start.png")
        body["strength"] = request.strength
    file = PNG if request.num_images == 1 else "pictures.json"
    # OpenAI's API has neither a start picture nor parts of a pipeline.
    has_parts = request.lora or request.decoder
    client = "" if upload or has_parts else _client(spec, request)
    app = _app(spec, request, placement)
    return HttpCall("/api/v1/images", body, file=file, upload=upload, client=client, app=app)


def _client(spec: ModelSpec, request: ImageRequest) -> str:
    """The lines that ask GenLab by OpenAI's client; what OpenAI's API has no name for goes beside it."""
    extra = {
        "seed": request.seed,
        "negative_prompt": request.negative_prompt or None,
        "guidance_scale": request.guidance_scale,
        "num_inference_steps": request.num_inference_steps,
        "scheduler": request.scheduler or None,
    }
    values = {
        "model": spec.id,
        "prompt": request.prompt,
        "n": request.num_images,
        **({"size": f"{request.width}x{request.height}"} if request.width else {}),
        "extra_body": {name: value for name, value in extra.items() if value is not None},
    }
    return _CLIENT.format(options=",\n    ".join(f"{k}={v!r}" for k, v in values.items()))


def _app(spec: ModelSpec, request: ImageRequest, placement: Placement) -> App:
    if vocabulary := _vocabulary(spec):
        request = request.model_copy(update=vocabulary.own_words(request))
    load = _script(spec, request, placement, "")
    load = load[: load.index("# GenLab sums in another order")]
    threads = f"torch.set_num_threads({placement.threads})\n" if placement.threads else ""
    dials = {n: f"request.{n}" for n in _FIELDS if getattr(request, n) not in (None, "")}
    lines = _call(request, {"prompt": "request.prompt", **dials}).split("\n")
    generate = "\n".join(line.removeprefix("    ") for line in lines)
    return App(
        name="image",
        load=f"import io\n{load}",
        fields=[
            "prompt: str",
            *(f"{name}: {_FIELDS[name]} = {getattr(request, name)!r}" for name in dials),
            f"seed: int = {request.seed}",
        ],
        work=threads + generate.replace("manual_seed(seed)", "manual_seed(request.seed)") + _WORK,
        body={"prompt": request.prompt},
        packages="torch diffusers transformers accelerate" + (" peft" if request.lora else ""),
        file=PNG,
    )


def _call_of_server(request: ImageRequest) -> HttpCall:
    values = hosted_arguments(request)
    body = {"model": request.model_name, **values}
    values = {"model": request.model_name, **values, "n": 1}
    values.pop("prompt")
    app = App(
        name="image",
        load=_APP_HOSTED,
        fields=["prompt: str"],
        work=_WORK_HOSTED.format(options=",\n    ".join(f"{k}={v!r}" for k, v in values.items())),
        body={"prompt": request.prompt},
        packages="openai",
        file=PNG,
    )
    return HttpCall("/images/generations", body, file="pictures.json", app=app, server="")
