"""Test which changes of a pull request make the log of its own preview untrustworthy."""

from pathlib import Path

import pytest

from operations.exit_codes import ExitCode
from operations.report.command import main
from operations.report.markdown import markdown
from operations.report.model import Kind, plain
from operations.report.origin import Comparison, ComparisonError, dangers
from operations.report.reporting import report
from tests.support.example_project import FOLDER
from tests.support.pull_requests import HARMLESS_LOG, base_in, git, merged, pull_request

STACK_FILE = (FOLDER / "Pulumi.dev.yaml").read_text()
NEW = "secretsprovider: awskms://a\nencryptedkey: AAAA\nconfig:\n  aws:region: eu-west-1\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    base_in(tmp_path / "repository")
    return tmp_path / "repository"


def texts(repository: Path, stack: str = "dev") -> list[str]:
    found = dangers(Comparison(repository, "HEAD^1"), stack)
    assert {danger.kind for danger in found} <= {Kind.CANNOT_BE_JUDGED}
    return [plain(danger.text) for danger in found]


@pytest.mark.parametrize(
    "path",
    [
        *(
            "operations/report/origin.py",
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
            "sub/declarations/x.yaml",
            "declarations/x.py",
            "declarations/Pulumi.dev.yaml",
            "declarations/a/pulumi.yaml",
            ".md",
        ),
        *("pulumi/__init__.py", ".github/workflows/preview.yml", "a\nb.py", "README.md\n", "README.MD"),
    ],
)
def test_change_of_file_that_a_preview_runs_is_a_danger(repository: Path, path: str) -> None:
    if path.startswith("Pulumi.dev.yaml/"):
        (repository / "Pulumi.dev.yaml").unlink()
        git(repository, "commit", "--quiet", "--all", "--message", "no stack file")
    pull_request(repository, {path: "x"})
    assert any(path in text and "review the program" in text for text in texts(repository))


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"Pulumi.dev.yaml": STACK_FILE + "  aws-secrets:recoveryWindowDays: 0\n"},
        {"Pulumi.other.yaml": NEW, "README.md": "x", "docs/more.md": "x"},
        {"declarations/prod/web.yaml": "secrets: {}\n", "declarations/all.yaml": "x"},
        {"Pulumi.dev.yaml": None},
    ],
)
def test_stack_files_and_markdown_keep_the_log_trustworthy(
    repository: Path, changed: dict[str, str | None]
) -> None:
    pull_request(repository, changed)
    assert texts(repository) == []
    assert texts(repository, "other") == []


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
def test_changed_engine_or_provider_setting_is_a_danger(repository: Path, setting: str, name: str) -> None:
    lines = [line for line in STACK_FILE.splitlines() if not line.startswith(f"  {name}:")]
    text = "\n".join(lines) + "\n"
    inside = setting.startswith(" ")
    text = text.replace("config:\n", f"config:\n{setting}", 1) if inside else setting + text
    pull_request(repository, {"Pulumi.dev.yaml": text})
    [text] = texts(repository)
    assert f"Changes {name} in Pulumi.dev.yaml" in text


def test_new_stack_file_may_have_only_required_settings(repository: Path) -> None:
    pull_request(repository, {"Pulumi.other.yaml": NEW})
    assert texts(repository, "other") == []
    pull_request(repository, {"Pulumi.other.yaml": NEW + "  aws:profile: mine\n"})
    assert "aws:profile" in texts(repository, "other")[0]


@pytest.mark.parametrize(
    "text", ["a: [", "- a\n", "config: []\n", "x\n", "!!python/name:os.system\n", "a: 1\n---\nb: 1\n"]
)
def test_invalid_stack_file_is_a_danger(repository: Path, text: str) -> None:
    pull_request(repository, {"Pulumi.dev.yaml": text})
    assert "Cannot be parsed as a stack file" in texts(repository)[0]


@pytest.mark.parametrize("path", ["README.md", "Pulumi.dev.yaml"])
def test_symbolic_link_is_a_danger(repository: Path, path: str) -> None:
    git(repository, "checkout", "--quiet", "-B", "proposed", "main")
    (repository / path).unlink()
    (repository / path).symlink_to("/etc/passwd")
    merged(repository)
    assert any(path in text for text in texts(repository))


def test_executable_file_and_submodule_are_dangers(repository: Path) -> None:
    git(repository, "checkout", "--quiet", "-B", "proposed", "main")
    head = git(repository, "rev-parse", "HEAD")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{head},sub.md")
    git(repository, "update-index", "--chmod=+x", "README.md")
    git(repository, "commit", "--quiet", "--message", "proposed")
    found = dangers(Comparison(repository, "main", "proposed"), "dev")
    assert "README.md, sub.md" in plain(found[0].text)


def test_file_names_cannot_break_out_of_the_comment(repository: Path) -> None:
    pull_request(repository, {"`@everyone` <img src=x>\n::warning::x.py": "x"})
    text = markdown(report([], "dev", dangers(Comparison(repository, "HEAD^1"), "dev")))
    assert "\n::warning::" not in text
    assert "`@everyone`" not in text


def test_commits_that_cannot_be_compared_make_report_incomplete(
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
    captured = capsys.readouterr()
    assert "the program that wrote the log is unknown" in captured.out
    assert "no dangers" not in captured.out
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
def test_options_of_the_comparison_must_be_used_together(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert "--checkout" in capsys.readouterr().err
