"""The environment points at the local cloud, and never at an account or stack of the user's."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.localcloud.environment import cleaned, local_environment, local_variables, write_env_file
from tools.localcloud.layout import Layout

USERS = {
    "AWS_PROFILE": "production",
    "AWS_SESSION_TOKEN": "users-token",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://example.org",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token",
    "PULUMI_ACCESS_TOKEN": "users-pulumi-token",
    "PULUMI_CONFIG_PASSPHRASE_FILE": "/somewhere/passphrase",
    "PULUMI_STACK": "production",
    "HTTPS_PROXY": "http://proxy.example.org",
}

SHELLS = [shell for shell in ("sh", "dash", "bash", "zsh", "ksh") if shutil.which(shell)]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "it's a $checkout")


def sourced(shell: str, layout: Layout, users: dict[str, str], times: int = 1) -> dict[str, str]:
    """Return the exported variables of a shell that has sourced the file."""
    source = f". {shell_quoted(layout.env_file)}; " * times
    base = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **users}
    ran = subprocess.run(
        [shell, "-c", f"set -eu; {source} env -0"], env=base, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return dict(entry.split("=", 1) for entry in ran.stdout.split("\0") if entry)


def shell_quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"


@pytest.mark.parametrize("shell", SHELLS)
def test_sourcing_leaves_only_our_settings_for_aws_and_pulumi(shell: str, layout: Layout) -> None:
    write_env_file(layout, 4599)
    found = sourced(shell, layout, USERS)
    expected = local_variables(layout, 4599)
    assert {name: value for name, value in found.items() if name.startswith(("AWS_", "PULUMI_"))} == expected
    assert found["PATH"].split(":")[0] == str(layout.bin)
    assert found["HTTPS_PROXY"] == USERS["HTTPS_PROXY"]
    assert "name" not in found


@pytest.mark.parametrize("shell", SHELLS)
def test_sourcing_twice_is_sourcing_once(shell: str, layout: Layout) -> None:
    write_env_file(layout, 4599)
    once = sourced(shell, layout, {"NO_PROXY": "example.org"})
    twice = sourced(shell, layout, {"NO_PROXY": "example.org"}, times=2)
    assert once == twice
    assert once["NO_PROXY"] == "example.org,127.0.0.1"


def test_the_choice_of_plugins_survives_and_the_engine_never_downloads(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" in local_variables(layout, 1)
    monkeypatch.setenv("PULUMI_PLUGINS", "official")
    write_env_file(layout, 1)
    found = sourced("sh", layout, {"PULUMI_PLUGINS": "official"})
    assert found["PULUMI_PLUGINS"] == "official"
    # not even then does the engine download by itself, without a pinned checksum
    assert found["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"


def test_our_own_commands_and_a_sourced_shell_see_the_same(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_env_file(layout, 4599)
    for name, value in USERS.items():
        monkeypatch.setenv(name, value)
    ours = local_environment(layout, 4599)
    found = sourced("sh", layout, dict(os.environ))
    names = [name for name in ours if name.startswith(("AWS_", "PULUMI_", "NO_PROXY", "no_proxy", "PATH"))]
    assert {name: found[name] for name in names} == {name: ours[name] for name in names}


def test_no_configuration_file_of_the_users_is_read(layout: Layout) -> None:
    variables = local_variables(layout, 1)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        assert Path(variables[name]).read_text() == ""
        assert layout.local in Path(variables[name]).parents


@given(st.dictionaries(st.from_regex(r"(AWS|PULUMI|X)_[A-Z_]{1,12}", fullmatch=True), st.text(max_size=5)))
def test_whatever_the_user_has_set_for_aws_or_pulumi_is_dropped(users: dict[str, str]) -> None:
    kept = cleaned(users)
    assert not [name for name in kept if name.startswith(("AWS_", "PULUMI_")) and name != "PULUMI_PLUGINS"]
    assert {name: value for name, value in users.items() if name.startswith("X_")}.items() <= kept.items()
