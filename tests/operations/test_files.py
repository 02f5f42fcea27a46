"""Atomic replacement of files."""

import threading
from pathlib import Path

import pytest

from operations.files import replace_file, replace_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text("old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise InterruptedError

    with pytest.raises(InterruptedError):
        replace_file(file, fail)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_readers_see_only_complete_files(tmp_path: Path) -> None:
    file = tmp_path / "file"
    texts = [str(number) * 200_000 for number in range(4)]
    replace_text(file, texts[0])

    def write(text: str) -> None:
        for _ in range(25):
            replace_text(file, text)

    writers = [threading.Thread(target=write, args=[text]) for text in texts]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert file.read_text() in texts
    assert list(tmp_path.iterdir()) == [file]


def test_the_temporary_file_keeps_the_suffix(tmp_path: Path) -> None:
    suffixes: list[str] = []

    def write(temporary: Path) -> None:
        suffixes.append(temporary.suffix)
        temporary.touch()

    replace_file(tmp_path / "Pulumi.dev.yaml", write)
    assert suffixes == [".yaml"]  # the CLI derives the format from it


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch(0o600)
    replace_text(file, "new")
    assert file.stat().st_mode & 0o777 == 0o600
