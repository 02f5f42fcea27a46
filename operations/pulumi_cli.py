"""Runs the Pulumi CLI: its environment, its arguments, and commands other than operations."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from operations import diagnosis, errors
from operations.secrecy import Redactor

# Exit code of a worker whose CLI was ended by signal N: KILLED + N, as a shell reports it.
KILLED = 128

# Commands that write nothing, so that an interrupt may end them.
_READS = (
    ("config", "--json"),
    ("stack", "export"),
    ("stack", "history"),
    ("stack", "ls"),
    ("stack", "output"),
)

_ALWAYS = {
    # as the Automation API sets them: no prompts, no update check
    "PULUMI_AUTOMATION_API": "true",
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    # enables --event-log
    "PULUMI_DEBUG_COMMANDS": "true",
}


@dataclass(frozen=True, kw_only=True)
class Cli:
    """The CLI for the project in a folder.

    Attributes:
        folder: folder of Pulumi.yaml, in which the CLI runs.
        project: name of the project.
        environment: the CLI's complete environment; it contains secrets.
        redactor: removes secret values from the CLI's output.
        runs_inline: a worker process runs the program, so its configuration may have any size.
    """

    folder: Path
    project: str
    environment: Mapping[str, str] = field(repr=False)
    redactor: Redactor
    runs_inline: bool = False

    def arguments(self, *arguments: str) -> list[str]:
        """Return a command line. It must not contain a secret: any user of the machine can read it."""
        return [self._pulumi(), "--non-interactive", "--color=never", *arguments]

    def run(self, stack: str, *arguments: str, standard_input: str | None = None) -> str:
        """Run a command; an interrupt, such as Ctrl-C, kills one that only reads, and waits for any other.

        Args:
            stack: value of --stack; empty for a command without a stack.
            arguments: the command and its other arguments.
            standard_input: text for standard input, which may be a secret.

        Returns:
            Its standard output, redacted.

        Raises:
            OperationError: it failed.
        """
        try:
            process = subprocess.Popen(
                self.arguments(*arguments, *(("--stack", stack) if stack else ())),
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL if standard_input is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                # so that Ctrl-C on a terminal does not reach the CLI
                start_new_session=True,
            )
        except OSError as error:
            raise errors.PulumiNotFoundError(str(error)) from None
        with process:
            try:
                stdout, stderr = process.communicate(standard_input)
            except BaseException:
                if arguments[:2] in _READS:
                    process.kill()
                else:  # it may be writing a stack file or the state
                    process.communicate()
                raise
        if process.returncode < 0:
            cause = signal.Signals(-process.returncode).name
            raise errors.EngineError(stack, f"`pulumi {arguments[0]}` was ended by {cause}")
        if process.returncode:
            raise diagnosis.of_command(stack, process.returncode, self.redactor.text(stderr))
        return self.redactor.text(stdout)

    def _pulumi(self) -> str:
        program = shutil.which("pulumi", path=self.environment.get("PATH", os.defpath))
        if program is None:
            raise errors.PulumiNotFoundError("`pulumi` is not on PATH")
        return program


def engine_environment(base: Mapping[str, str] | None, backend: str | None) -> dict[str, str]:
    """Return the engine's environment.

    Args:
        base: the environment to start from (default: this process's).
        backend: URL of the state backend, such as s3://bucket (default: the one in `base`).
    """
    overrides = {} if backend is None else {"PULUMI_BACKEND_URL": backend}
    return {**(os.environ if base is None else base), **overrides, **_ALWAYS}


def operation_arguments(kind: str, stack: str, event_log: Path, options: Sequence[str]) -> list[str]:
    """Return the arguments that start an operation, whose results are read from the event log."""
    arguments = [kind, "--stack", stack, "--suppress-progress", "--event-log", str(event_log)]
    if kind != "preview":
        arguments += ["--yes", "--skip-preview"]
    if kind != "destroy":
        arguments += ["--suppress-outputs"]
    return [*arguments, *options]
