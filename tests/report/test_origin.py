"""Whose word a log is: what a change may touch before its own preview cannot be believed."""

from pathlib import Path

import pytest

from automation.exit_codes import ExitCode
from automation.report.__main__ import main
from automation.report.markdown import markdown
from automation.report.model import Kind, plain
from automation.report.origin import Comparison, ComparisonError, dangers
from automation.report.reporting import report
from tests.example_project import FOLDER
from tests.workflows.pull_requests import HARMLESS_LOG, base_in, git, merged, pull_request

STACK_FILE = (FOLDER / "Pulumi.dev.yaml").read_text()
NEW = "secretsprovider: awskms://a\nencryptedkey: AAAA\nconfig:\n  aws:region: eu-west-1\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    base_in(tmp_path / "repository")
    return tmp_path / "repository"


def said(repository: Path, stack: str = "dev") -> list[str]:
    found = dangers(Comparison(repository, "HEAD^1"), stack)
    assert {danger.kind for danger in found} <= {Kind.CANNOT_BE_JUDGED}
    return [plain(danger.text) for danger in found]


@pytest.mark.parametrize(
    "path",
    [
        *(
            "automation/report/origin.py",
            "__main__.py",
            "Pulumi.yaml",
            "requirements.txt",
            "sitecustomize.py",
        ),
        *(
            "Pulumi.dev.yml",
            "Pulumi.dev.json",
            "Pulumi.dev.yaml/x",
            "sub/Pulumi.dev.yaml",
            "x.md/y.py",
            ".md",
        ),
        *("pulumi/__init__.py", ".github/workflows/preview.yml", "a\nb.py", "README.md\n", "README.MD"),
    ],
)
def test_a_file_that_a_preview_may_run_makes_its_log_doubtful(repository: Path, path: str) -> None:
    if path.startswith("Pulumi.dev.yaml/"):
        (repository / "Pulumi.dev.yaml").unlink()
        git(repository, "commit", "--quiet", "--all", "--message", "no stack file")
    pull_request(repository, {path: "x"})
    assert any(path in text and "review the program" in text for text in said(repository))


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"Pulumi.dev.yaml": STACK_FILE + "  aws-secrets:recoveryWindowDays: 0\n"},
        {"Pulumi.other.yaml": NEW, "README.md": "x", "docs/more.md": "x"},
        {"Pulumi.dev.yaml": None},
    ],
)
def test_stack_files_and_markdown_leave_the_log_as_the_engines_word(
    repository: Path, changed: dict[str, str | None]
) -> None:
    pull_request(repository, changed)
    assert said(repository) == []
    assert said(repository, "other") == []


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("  aws:endpoints: [{secretsmanager: http://example.com}]\n", "aws:endpoints"),
        ("  aws:region: eu-west-1\n", "aws:region"),
        ("  pulumi:disable-default-providers: ['*']\n", "pulumi:disable-default-providers"),
        ("  aws-secrets-more:x: 1\n", "aws-secrets-more:x"),
        ("secretsprovider: hashivault://example\n", "secretsprovider"),
        ("environment: [imported]\n", "environment"),
    ],
)
def test_a_stack_files_settings_of_engine_and_providers_make_the_log_doubtful(
    repository: Path, setting: str, name: str
) -> None:
    lines = [line for line in STACK_FILE.splitlines() if not line.startswith(f"  {name}:")]
    text = "\n".join(lines) + "\n"
    inside = setting.startswith(" ")
    text = text.replace("config:\n", f"config:\n{setting}", 1) if inside else setting + text
    pull_request(repository, {"Pulumi.dev.yaml": text})
    [found] = said(repository)
    assert f"Changes {name} in Pulumi.dev.yaml" in found


def test_a_new_stack_may_have_what_makes_it_a_stack_and_nothing_else(repository: Path) -> None:
    pull_request(repository, {"Pulumi.other.yaml": NEW})
    assert said(repository, "other") == []
    pull_request(repository, {"Pulumi.other.yaml": NEW + "  aws:profile: mine\n"})
    assert "aws:profile" in said(repository, "other")[0]


@pytest.mark.parametrize(
    "text", ["a: [", "- a\n", "config: []\n", "x\n", "!!python/name:os.system\n", "a: 1\n---\nb: 1\n"]
)
def test_a_stack_file_that_cannot_be_read_makes_the_log_doubtful(repository: Path, text: str) -> None:
    pull_request(repository, {"Pulumi.dev.yaml": text})
    assert "not a stack file that can be read" in said(repository)[0]


@pytest.mark.parametrize("path", ["README.md", "Pulumi.dev.yaml"])
def test_a_symbolic_link_is_never_harmless(repository: Path, path: str) -> None:
    git(repository, "checkout", "--quiet", "-B", "proposed", "main")
    (repository / path).unlink()
    (repository / path).symlink_to("/etc/passwd")
    merged(repository)
    assert any(path in text for text in said(repository))


def test_a_file_that_becomes_executable_or_a_submodule_is_not_harmless(repository: Path) -> None:
    git(repository, "checkout", "--quiet", "-B", "proposed", "main")
    head = git(repository, "rev-parse", "HEAD")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{head},sub.md")
    git(repository, "update-index", "--chmod=+x", "README.md")
    git(repository, "commit", "--quiet", "--message", "proposed")
    found = dangers(Comparison(repository, "main", "proposed"), "dev")
    assert "README.md, sub.md" in plain(found[0].text)


def test_names_of_a_change_are_mere_text_in_the_comment(repository: Path) -> None:
    pull_request(repository, {"`@everyone` <img src=x>\n::warning::x.py": "x"})
    made = report([], "dev", dangers(Comparison(repository, "HEAD^1"), "dev"))
    written = markdown(made)
    assert "\n::warning::" not in written
    assert "`@everyone`" not in written


def test_commits_that_cannot_be_compared_make_the_report_incomplete(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ComparisonError):
        dangers(Comparison(repository, "nowhere"), "dev")
    (tmp_path / "events").write_text(HARMLESS_LOG)
    arguments = ["--events", str(tmp_path / "events"), "--stack", "dev", "--fail-on-danger"]
    assert (
        main([*arguments, "--checkout", str(repository), "--base", "nowhere"]) == ExitCode.INCOMPLETE_REPORT
    )
    assert main([*arguments, "--checkout", str(tmp_path), "--base", "HEAD^1"]) == ExitCode.INCOMPLETE_REPORT
    written = capsys.readouterr()
    assert "nobody knows which program made the log" in written.out
    assert "nothing dangerous" not in written.out
    pull_request(repository, {"__main__.py": "x"})
    assert main([*arguments, "--checkout", str(repository), "--base", "HEAD^1"]) == ExitCode.DANGEROUS
    assert main(arguments) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--checkout", "."],
        ["--base", "HEAD"],
        ["--checkout", ".", "--base", "HEAD"],
        ["--checkout", ".", "--base", "HEAD", "--stack", "a", "--events", "a", "--events", "b"],
    ],
)
def test_a_comparison_is_asked_for_as_a_whole(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert "--checkout" in capsys.readouterr().err
