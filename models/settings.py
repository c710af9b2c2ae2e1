"""GenLab's settings, read once from the environment and `.env`; every name is in .env.example."""

import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_core import PydanticCustomError

OPENAI = "https://api.openai.com/v1"
# What holds on a Hugging Face Space where its variables say nothing else: strangers use it, its own proxy must reach
# the page, and it reaches other servers on three ports only (docs of Spaces, "Networking").
SPACE = {
    "GENLAB_PUBLIC": "true",
    "GENLAB_HOST": "0.0.0.0",
    "GENLAB_SERVER_PORTS": "80,443,8080",
    "GENLAB_FETCH": "true",  # there is no other step that could
}
ROOT = Path(__file__).resolve().parent.parent


class SettingsError(ValueError):
    """A variable has a value that cannot be used; the message names the variable, not the value."""


Port = Annotated[int, Field(ge=1, le=65535)]


def _check_port(address: str) -> str:
    """The address itself; a port from 1 to 65535 or none."""
    try:
        is_port = urlsplit(address).port != 0
    except ValueError:  # out of range, or no number
        is_port = False
    if not is_port:
        raise PydanticCustomError("port", "the port in the address should be from 1 to 65535")
    return address


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


class Settings(BaseModel):
    """All settings. The field's alias is the variable's name; blank counts as unset."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, populate_by_name=True)

    openai_api_key: SecretStr | None = Field(None, alias="OPENAI_API_KEY")
    openai_base_url: (
        Annotated[str, Field(pattern=r"^https?://[^\s]+$"), AfterValidator(_check_port)] | None
    ) = Field(None, alias="OPENAI_BASE_URL")
    openai_model: str = Field("gpt-4o", alias="OPENAI_MODEL")
    openai_image_model: str = Field("gpt-image-2", alias="OPENAI_IMAGE_MODEL")
    openai_timeout: float = Field(60, alias="OPENAI_TIMEOUT", gt=0, le=3600)
    prices: Path = Field(ROOT / "models" / "servers" / "prices.toml", alias="GENLAB_PRICES")
    budget_dollars: float | None = Field(
        None, alias="GENLAB_BUDGET_DOLLARS", gt=0, allow_inf_nan=False
    )
    budget_tokens: int | None = Field(None, alias="GENLAB_BUDGET_TOKENS", ge=1)
    hf_token: SecretStr | None = Field(None, alias="HF_TOKEN")

    host: str = Field("127.0.0.1", alias="GENLAB_HOST")
    port: int | None = Field(None, alias="GENLAB_PORT", ge=1, le=65535)
    root_path: Annotated[str, Field(pattern=r"^(https?://\S+|/\S*[^/\s])$")] = Field(
        "", alias="GENLAB_ROOT_PATH"
    )
    auth: Annotated[SecretStr, Field(min_length=3)] | None = Field(None, alias="GENLAB_AUTH")
    hosts: str | None = Field(None, alias="GENLAB_HOSTS", pattern=r"^[\w.,: -]+$")
    state: Path | None = Field(None, alias="GENLAB_STATE")
    public: bool = Field(False, alias="GENLAB_PUBLIC")
    public_server_key: bool = Field(False, alias="GENLAB_PUBLIC_SERVER_KEY")
    public_downloads: bool = Field(False, alias="GENLAB_PUBLIC_DOWNLOADS")
    public_local_servers: bool = Field(False, alias="GENLAB_PUBLIC_LOCAL_SERVERS")
    server_ports: Annotated[tuple[Port, ...], BeforeValidator(_split)] = Field(
        (), alias="GENLAB_SERVER_PORTS"
    )
    downloads: bool = Field(True, alias="GENLAB_DOWNLOADS")
    fetch: bool = Field(False, alias="GENLAB_FETCH")
    models_dir: Path | None = Field(None, alias="GENLAB_MODELS_DIR")
    queue_size: int = Field(100, alias="GENLAB_QUEUE_SIZE", ge=1, le=10_000)
    max_upload_mb: int = Field(20, alias="GENLAB_MAX_UPLOAD_MB", ge=1, le=1000)

    person_requests: int | None = Field(None, alias="GENLAB_PERSON_REQUESTS", ge=1)
    person_image_steps: int | None = Field(None, alias="GENLAB_PERSON_IMAGE_STEPS", ge=1)
    person_tokens: int | None = Field(None, alias="GENLAB_PERSON_TOKENS", ge=1)
    all_requests: int | None = Field(None, alias="GENLAB_ALL_REQUESTS", ge=1)
    all_image_steps: int | None = Field(None, alias="GENLAB_ALL_IMAGE_STEPS", ge=1)
    all_tokens: int | None = Field(None, alias="GENLAB_ALL_TOKENS", ge=1)

    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", alias="GENLAB_DEVICE")
    compile_mode: Literal["off", "default", "max-autotune-no-cudagraphs"] = Field(
        "off", alias="GENLAB_COMPILE"
    )
    memory_gb: float | None = Field(None, alias="GENLAB_MEMORY_GB", gt=0)
    idle_minutes: float = Field(30, alias="GENLAB_IDLE_MINUTES", ge=0)

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", alias="GENLAB_LOG_LEVEL"
    )
    metrics_token: Annotated[SecretStr, Field(min_length=8)] | None = Field(
        None, alias="GENLAB_METRICS_TOKEN"
    )

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the environment and, under it, the `.env` beside demo.py.

        Args:
            environment: instead of os.environ. GENLAB_ENV_FILE in it names another file than .env.

        Raises:
            SettingsError: a variable has a value that cannot be used.
        """
        environment = os.environ if environment is None else environment
        file = environment.get("GENLAB_ENV_FILE") or str(ROOT / ".env")
        raw = {**dotenv_values(file, interpolate=False), **environment}
        aliases = {field.alias for field in cls.model_fields.values()}
        values = {k: v.strip() for k, v in raw.items() if k in aliases and v and v.strip()}
        if environment.get("SPACE_ID"):
            values = SPACE | values
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            raise SettingsError(f"{fault['loc'][0]}: {fault['msg']}") from None

    def for_public(self) -> Self:
        """The same settings for a page behind a public link."""
        return self.model_copy(update={"public": True})

    @property
    def may_use_server_key(self) -> bool:
        """Whether visitors may spend the key from the environment."""
        return self.openai_api_key is not None and (not self.public or self.public_server_key)

    @property
    def has_budget(self) -> bool:
        """Whether hosted models may cost the host only so much a day."""
        return self.budget_dollars is not None or self.budget_tokens is not None

    def check_budget(self) -> None:
        """Once it is known whether the page is public: no stranger spends without bound.

        Raises:
            SettingsError: visitors may spend the key, and no budget is set.
        """
        if self.public and self.may_use_server_key and not self.has_budget:
            raise SettingsError(
                "GENLAB_PUBLIC_SERVER_KEY: visitors of a public page may spend the key only within a budget: "
                "set GENLAB_BUDGET_DOLLARS or GENLAB_BUDGET_TOKENS, for a day"
            )

    @property
    def may_download(self) -> bool:
        """Whether a model that is not on this machine may be fetched."""
        return self.downloads and (not self.public or self.public_downloads)

    @property
    def may_reach_inside(self) -> bool:
        """Whether a server that a visitor names may be on this machine or in its network."""
        return not self.public or self.public_local_servers

    @property
    def port_list(self) -> str:
        """The ports of other servers that this host reaches, for people; "" for all."""
        return ", ".join(map(str, self.server_ports))

    def reaches(self, base_url: str) -> bool:
        """Whether this host's network lets it reach the port of a server's address."""
        address = urlsplit(base_url)
        port = address.port or {"http": 80, "https": 443}.get(address.scheme, 0)
        return not self.server_ports or port in self.server_ports

    def server_name(self, base_url: str = "") -> str:
        """The host name of the server behind hosted models; base_url is one that a person named."""
        return urlsplit(base_url or self.openai_base_url or OPENAI).hostname or ""

    @property
    def credentials(self) -> list[tuple[str, str]] | None:
        """GENLAB_AUTH ("name:password", several with commas): names with passwords or their hashes."""
        if self.auth is None:
            return None
        return [parse_credentials(part) for part in _SEPARATOR.split(self.auth.get_secret_value())]

    @property
    def max_body(self) -> int:
        """Bytes of one request: an upload, or a picture in base64."""
        return max(self.max_upload_mb, 30) * 1_100_000

    @property
    def state_file(self) -> Path:
        """The SQLite file of what outlives a restart (models/state.py)."""
        return self.state.expanduser() if self.state else cache_folder() / "state.sqlite3"


_SEPARATOR = re.compile(r",(?![tp]=\d+[,$])")  # not the commas within an Argon2 hash


def cache_folder() -> Path:
    """GenLab's own folder for what it fetches and notes: GENLAB_CACHE, or the platform's cache folder.

    Looked up when it is needed; it need not exist.
    """
    if folder := os.environ.get("GENLAB_CACHE"):
        return Path(os.path.expandvars(folder)).expanduser()
    if platform.system() == "Windows":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "genlab"
    if platform.system() == "Darwin":
        return Path.home() / "Library" / "Caches" / "genlab"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genlab"


def parse_credentials(text: str) -> tuple[str, str]:
    """Split "name:password".

    Raises:
        SettingsError: there is no colon, or a side is empty.
    """
    name, colon, password = text.strip().partition(":")
    if not (colon and name and password):
        raise SettingsError("GENLAB_AUTH: write it as name:password")
    return name, password
