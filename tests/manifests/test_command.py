"""`python -m operations manifests`."""

import io
import json
from pathlib import Path

import pytest

from operations.cli import main
from operations.exit_codes import ExitCode


def test_the_command_writes_a_file_for_each_workload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs: dict[str, dict[str, list[str]]] = {"web": {"containerSecrets": []}}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(outputs)))
    assert main(["manifests", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out' / 'web.json'}\n"
    assert json.loads((tmp_path / "out" / "web.json").read_text()) == outputs["web"]


def test_input_that_is_not_json_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("error: no stack selected"))
    with pytest.raises(SystemExit) as exited:
        main(["manifests", str(tmp_path / "out")])
    assert exited.value.code == 2
    assert "pulumi stack output --json workloads" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["[]", '"text"', '{"encryptionKeyArn": "arn:aws:kms:us-east-1:1:key/1"}'])
def test_input_that_is_not_the_workloads_is_a_usage_error(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    with pytest.raises(SystemExit) as exited:
        main(["manifests", str(tmp_path / "out")])
    assert exited.value.code == 2
    assert "not the output `workloads`: pipe `pulumi stack output" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = {"task": {"roleArn": "r", "containerSecrets": []}}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(outputs)))
    (tmp_path / "file").touch()
    assert main(["manifests", str(tmp_path / "file")]) == ExitCode.BAD_SETTINGS
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'file'}: ")
