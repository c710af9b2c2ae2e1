import re

import pytest

from models.settings import ROOT, Settings, SettingsError, parse_credentials

KEY = "sk-test-0123456789"


def read(tmp_path, file="", **environment):
    env_file = tmp_path / "env"
    env_file.write_text(file, encoding="utf-8")
    return Settings.read({"GENLAB_ENV_FILE": str(env_file), **environment})


def test_blank_counts_as_unset_and_the_environment_wins(tmp_path):
    settings = read(
        tmp_path, "OPENAI_API_KEY=\nOPENAI_BASE_URL=  \nGENLAB_PORT=8000\n", GENLAB_PORT="9000"
    )
    assert settings.openai_api_key is None
    assert settings.openai_base_url is None
    assert settings.port == 9000


def test_example_names_every_variable_and_only_those(tmp_path):
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    by_name = set(re.findall(r"^([A-Z_]+)=", example, re.M))
    values = {field.alias for field in Settings.model_fields.values()}
    assert by_name - {"GENLAB_ENV_FILE"} == values
    assert all(
        re.search(rf"#[^\n]*\n(?:#[^\n]*\n)*(?:[A-Z_]+=.*\n)?{name}=", example) for name in by_name
    )
    assert read(tmp_path, example) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GENLAB_PORT", "eighty"),
        ("GENLAB_DEVICE", "tpu"),
        ("GENLAB_PUBLIC", "perhaps"),
        ("GENLAB_PUBLIC_LOCAL_SERVERS", "perhaps"),
        ("OPENAI_BASE_URL", "localhost:11434"),
        ("OPENAI_BASE_URL", "http://localhost:99999/v1"),
        ("OPENAI_BASE_URL", "http://localhost:0/v1"),
        ("OPENAI_BASE_URL", "http://localhost:v1"),
        ("OPENAI_BASE_URL", "http://[::1/v1"),
        ("OPENAI_TIMEOUT", "nan"),
        ("GENLAB_MEMORY_GB", "-1"),
        ("GENLAB_QUEUE_SIZE", "0"),
        ("GENLAB_ROOT_PATH", "genlab/"),
        ("GENLAB_SERVER_PORTS", "80,http"),
        ("GENLAB_SERVER_PORTS", "80,,443"),
    ],
)
def test_a_bad_value_names_the_variable_and_not_the_value(tmp_path, name, value):
    with pytest.raises(SettingsError) as error:
        read(tmp_path, **{name: value})
    assert name in str(error.value)
    assert value not in str(error.value).replace(name, "").replace("than 0", "")


def test_a_key_is_never_shown(tmp_path):
    settings = read(tmp_path, OPENAI_API_KEY=KEY)
    assert settings.openai_api_key.get_secret_value() == KEY
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        assert KEY not in text


def test_a_public_page_spends_and_downloads_nothing_unless_told(tmp_path):
    here = read(tmp_path, OPENAI_API_KEY=KEY)
    assert here.may_use_server_key
    assert here.may_download
    for public in (here.for_public(), read(tmp_path, OPENAI_API_KEY=KEY, SPACE_ID="me/genlab")):
        assert public.public
        assert not public.may_use_server_key
        assert not public.may_download
    message = {"GENLAB_PUBLIC_SERVER_KEY": "true", "GENLAB_PUBLIC_DOWNLOADS": "true"}
    public = read(tmp_path, OPENAI_API_KEY=KEY, SPACE_ID="me/genlab", **message)
    assert public.may_use_server_key
    assert public.may_download


def test_visitors_of_a_public_page_name_no_inner_server_unless_told(tmp_path):
    assert read(tmp_path).may_reach_inside
    assert not read(tmp_path).for_public().may_reach_inside
    assert not read(tmp_path, SPACE_ID="me/genlab").may_reach_inside
    message = read(tmp_path, GENLAB_PUBLIC="true", GENLAB_PUBLIC_LOCAL_SERVERS="true")
    assert message.may_reach_inside


def test_on_a_space_its_proxy_reaches_the_page_and_the_page_reaches_three_ports(tmp_path):
    here, space = read(tmp_path), read(tmp_path, SPACE_ID="me/genlab")
    assert (here.host, here.server_ports, here.port_list) == ("127.0.0.1", (), "")
    assert (space.host, space.server_ports) == ("0.0.0.0", (80, 443, 8080))
    ports = {"https://a.example/v1", "http://a.example/v1", "http://a.example:8080/v1"}
    local = {"http://localhost:11434/v1", "https://a.example:8000/v1"}
    assert {url for url in ports | local if space.reaches(url)} == ports
    assert all(here.reaches(url) for url in ports | local)
    message = {
        "GENLAB_PUBLIC": "false",
        "GENLAB_HOST": "127.0.0.1",
        "GENLAB_SERVER_PORTS": "80, 9000",
    }
    own = read(tmp_path, SPACE_ID="me/genlab", **message)
    assert (own.public, own.host, own.server_ports) == (False, "127.0.0.1", (80, 9000))


def test_the_server_of_a_request_is_known_by_name(tmp_path):
    assert read(tmp_path).server_name() == "api.openai.com"
    there = read(tmp_path, OPENAI_BASE_URL="http://localhost:11434/v1")
    assert there.server_name() == "localhost"
    assert there.server_name("https://models.example/v1") == "models.example"


def test_credentials(tmp_path):
    assert read(tmp_path, GENLAB_AUTH="a:b, c:d:e").credentials == [("a", "b"), ("c", "d:e")]
    assert read(tmp_path).credentials is None
    for bad in ("nocolon", ":b", "a:"):
        with pytest.raises(SettingsError):
            parse_credentials(bad)
