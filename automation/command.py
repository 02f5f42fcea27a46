"""The Pulumi CLI as a service runs it: its environment, and commands that answer at once."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from automation import diagnosis, errors
from automation.secrecy import Redactor

# A worker's exit code where a signal ended the CLI: this and the signal's number, as a shell tells it.
KILLED = 128

_ALWAYS = {
    # what the CLI of an Automation API program sets: no prompts, no update check
    "PULUMI_AUTOMATION_API": "true",
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    # --event-log is hidden without it
    "PULUMI_DEBUG_COMMANDS": "true",
}


@dataclass(frozen=True, kw_only=True)
class Cli:
    """How to run it for the project in a folder. `environment` is the whole environment, and never shown."""

    folder: Path
    project: str
    environment: Mapping[str, str] = field(repr=False)
    redactor: Redactor

    def arguments(self, *arguments: str) -> list[str]:
        """The command line. No secret is ever on it: any user of the machine can read it."""
        return [self._pulumi(), "--non-interactive", "--color=never", *arguments]

    def run(self, stack: str, *arguments: str, standard_input: str | None = None) -> str:
        """Runs a command to its end; returns its standard output, redacted.

        Raises:
            AutomationError: it failed.
        """
        try:
            done = subprocess.run(
                self.arguments(*arguments, *(("--stack", stack) if stack else ())),
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL if standard_input is None else None,
                input=standard_input,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=False,
                # Ctrl-C on a terminal is for our caller; a half-written stack file helps nobody
                start_new_session=True,
            )
        except OSError as error:
            raise errors.EngineMissing(str(error)) from None
        if done.returncode < 0:
            cause = signal.Signals(-done.returncode).name
            raise errors.EngineFailure(stack, f"it was ended by {cause}: pulumi {arguments[0]}")
        if done.returncode:
            raise diagnosis.of_command(stack, done.returncode, self.redactor.text(done.stderr))
        return self.redactor.text(done.stdout)

    def _pulumi(self) -> str:
        found = shutil.which("pulumi", path=self.environment.get("PATH", os.defpath))
        if found is None:
            raise errors.EngineMissing("there is no `pulumi` on PATH")
        return found


def engine_environment(given: Mapping[str, str] | None, backend: str | None) -> dict[str, str]:
    """The given environment, else this process's. `backend` is a URL: file://, s3://, https:// ..."""
    chosen = {} if backend is None else {"PULUMI_BACKEND_URL": backend}
    return {**(os.environ if given is None else given), **chosen, **_ALWAYS}


def operation_arguments(kind: str, stack: str, event_log: Path, options: Sequence[str]) -> list[str]:
    """What starts an operation. Outputs and progress are read from events, so nothing needs printing."""
    arguments = [kind, "--stack", stack, "--suppress-progress", "--event-log", str(event_log)]
    if kind != "preview":
        arguments += ["--yes", "--skip-preview"]
    if kind != "destroy":
        arguments += ["--suppress-outputs"]
    return [*arguments, *options]
