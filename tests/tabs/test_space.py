"""What a Space's log says at the start."""

import pytest

from models.runtime.placement import Hardware
from models.settings import Settings
from tabs.shared.space import SECRETS, remarks, remarks_of_hub, tell
from tabs.shared.strings import LANGUAGES, say
from tests.hub_server import TOKEN, HubServer

BARE = Hardware(False, False, True, 2)
ZERO_GPU = Hardware(False, False, False, 2, zero_gpu=True)
KEY = "sk-test-0123456789"


def keys(remarks_there) -> list[str]:
    return [key for key, _ in remarks_there]


def test_secrets_are_the_settings_that_are_kept_secret():
    assert {"OPENAI_API_KEY", "HF_TOKEN", "GENLAB_AUTH"} <= SECRETS
    assert "GENLAB_PUBLIC" not in SECRETS


def test_what_is_missing_and_what_is_too_small_is_said():
    public = Settings(public=True)
    assert keys(remarks(public, ZERO_GPU, 64e9)) == ["no_key"]
    assert keys(remarks(public, BARE, 2e9)) == ["no_key", "no_gpu", "little_memory"]
    own = Settings(openai_api_key=KEY, public=True)
    assert keys(remarks(own, ZERO_GPU, 64e9)) == ["key_unused"]
    assert (
        remarks(Settings(openai_api_key=KEY, public=True, public_server_key=True), ZERO_GPU, 64e9)
        == []
    )


def test_a_secret_that_is_a_variable_is_said_by_name_and_never_by_value(monkeypatch):
    with HubServer({}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.variables["me/genlab"] = ["OPENAI_API_KEY", "GENLAB_PUBLIC", "GENLAB_AUTH"]
        mine = Settings(hf_token=TOKEN)
        assert remarks_of_hub(mine, "me/genlab") == [
            ("variable", {"name": "GENLAB_AUTH"}),
            ("variable", {"name": "OPENAI_API_KEY"}),
        ]
        assert remarks_of_hub(mine, "me/other") == []
        assert remarks_of_hub(Settings(), "me/genlab") == []  # it is not told to strangers
        hub.status = 500
        assert remarks_of_hub(mine, "me/genlab") == []
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # where nobody listens
    assert keys(remarks_of_hub(mine, "me/genlab")) == ["no_hub"]
    for language in LANGUAGES:
        assert "OPENAI_API_KEY" in say("space.variable", language, name="OPENAI_API_KEY")


def test_it_all_stands_in_the_log(monkeypatch, capsys):
    with HubServer({}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("SPACE_ID", "me/genlab")
        monkeypatch.setenv("LANG", "C.UTF-8")
        tell(Settings(openai_api_key=KEY, public=True))
    output = capsys.readouterr().out
    assert "GenLab: Visitors may not spend this Space's OPENAI_API_KEY" in output
    assert KEY not in output


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_says_what_to_do(language):
    action = {"en": ("add", "allows", "choose", "check"), "ko": ("주세요", "마세요")}[language]
    for key in ("no_key", "key_unused", "no_gpu", "little_memory", "no_hub", "variable"):
        assert any(word in say(f"space.{key}", language, gb="2.0", name="X") for word in action), (
            key
        )
