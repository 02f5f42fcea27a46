"""The suites that `make test-real` runs: what they may contain, and what happens without the plugins."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support import real_plugins
from tools.localcloud import plugin_install
from tools.localcloud.download import ChecksumError, DownloadError, RemoteFile
from tools.localcloud.layout import Layout, SetupError
from tools.localcloud.plugin_install import UnavailablePluginError

ROOT = Path(__file__).parents[2]
# The first two exist in the stand-ins only; the last is how much less they wait.
OF_STAND_INS = re.compile(r"tools\.localcloud\.plugins|tools/localcloud/plugins|LOCALCLOUD_RETRY_SECONDS")


@pytest.mark.parametrize("suite", real_plugins.SUITES)
def test_no_test_needs_a_stand_in(suite: str) -> None:
    files = sorted(ROOT.joinpath(suite).rglob("*.py"))
    assert files
    assert [str(file) for file in files if OF_STAND_INS.search(file.read_text())] == []


@pytest.mark.parametrize(("variable", "code"), [(None, 0), ("required", real_plugins.NOT_RUN)])
def test_unavailable_plugins_are_reported_and_nothing_runs(
    variable: str | None, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unavailable() -> tuple[str, ...]:
        raise UnavailablePluginError("Could not fetch the aws plugin 7.51.0: refused.")

    monkeypatch.setenv("PULUMI_PLUGINS", "")
    monkeypatch.delenv(real_plugins.REQUIRED_VARIABLE, raising=False)
    if variable:
        monkeypatch.setenv(real_plugins.REQUIRED_VARIABLE, variable)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("the suites ran"))
    assert real_plugins.main([], unavailable) == code
    assert capsys.readouterr().out.startswith(
        "NOT RUN: the official plugins are not available here. Could not"
    )


@pytest.mark.parametrize("variable", ["", "required", "1"])
@pytest.mark.parametrize("cause", ["stand-in", "another checksum", "no variable"])
def test_nothing_else_counts_as_a_success(
    variable: str, cause: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def provide() -> tuple[str, ...]:
        if cause == "another checksum":
            raise SetupError("the SHA-256 checksum differs")
        return ("aws",) if cause == "stand-in" else ()

    monkeypatch.setenv("PULUMI_PLUGINS", "")
    monkeypatch.setenv(real_plugins.REQUIRED_VARIABLE, variable)
    runs = cause == "no variable" and variable != "1"
    done = subprocess.CompletedProcess[bytes]([], 5)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: done if runs else pytest.fail("the suites ran"))
    assert real_plugins.main([], provide) == (5 if runs else 1)
    assert bool(capsys.readouterr().err.startswith("error: ")) != runs


@pytest.mark.parametrize(
    ("error", "unavailable"), [(DownloadError("refused"), True), (ChecksumError("another checksum"), False)]
)
def test_a_plugin_that_is_not_the_pinned_one_is_not_unavailable(
    error: DownloadError, unavailable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(*_: object) -> Path:
        raise error

    monkeypatch.setenv("PULUMI_PLUGINS", "official")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    monkeypatch.setattr(plugin_install, "plugin_archive", lambda *_: RemoteFile(url="", sha256=""))
    monkeypatch.setattr(plugin_install, "fetch", fetch)
    with pytest.raises(SetupError, match=str(error)) as raised:
        plugin_install.provide_plugins(Layout(tmp_path))
    assert isinstance(raised.value, plugin_install.UnavailablePluginError) == unavailable
