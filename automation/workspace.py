"""Where stacks live: a project folder, a backend, an environment, and so many operations at once."""

import json
import shutil
from collections.abc import Mapping
from concurrent import futures
from dataclasses import dataclass, field, replace
from pathlib import Path

from automation import errors
from automation.command import Cli, engine_environment
from automation.configuration import stack_file
from automation.locks import locked
from automation.secrecy import Redactor
from automation.stack import Stack
from settings.documents import FileError, project_file
from settings.yaml_text import write

ROOT = Path(__file__).parents[1]
LIMIT = 4


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """Made by `checkout` or `inline`. May be used by several threads.

    Attributes:
        runs_inline: whether a worker process of ours runs the program, instead of the engine's language host.
    """

    runs_inline: bool
    cli: Cli = field(repr=False)
    pool: futures.Executor = field(repr=False)
    _redactors: dict[str, Redactor] = field(default_factory=dict, repr=False)

    def stack(self, name: str) -> Stack:
        """The stack of this name. The backend is not asked: what is done with it raises UnknownStack."""
        # each stack knows its own values only: looking for them must not take longer with every other stack
        redactor = self._redactors.setdefault(name, Redactor(self.cli.environment))
        cli = replace(self.cli, redactor=redactor)
        return Stack(name=name, inline=self.runs_inline, cli=cli, pool=self.pool)

    def create(self, name: str, *, secrets_provider: str | None = None) -> Stack:
        """Makes a stack. `secrets_provider` is a URL such as awskms://alias/my-key; a passphrase otherwise.

        Raises:
            StackExists: it is there already, and left as it is.
            BadStackName: the engine takes no such name.
        """
        provider = ["--secrets-provider", secrets_provider] if secrets_provider else []
        # Pulumi keeps what is selected in a file of the user's, which breaks when two select at once
        # (github.com/pulumi/pulumi/issues/8186): nothing is ever selected, and creations wait for each other.
        with locked(self.cli.folder / "Pulumi.yaml"):
            file = stack_file(self.cli.folder, name)
            kept = file.read_bytes() if file.exists() else None
            try:
                self.cli.run(name, "stack", "init", "--no-select", *provider)
            except errors.AutomationError:
                if kept is not None:
                    file.write_bytes(kept)
                raise
        return self.stack(name)

    def open(self, name: str, *, secrets_provider: str | None = None) -> Stack:
        """The stack of this name, made if it is not there."""
        try:
            return self.create(name, secrets_provider=secrets_provider)
        except errors.StackExists:
            return self.stack(name)

    def stacks(self) -> list[str]:
        """The names of the project's stacks in the backend."""
        return [str(stack["name"]) for stack in json.loads(self.cli.run("", "stack", "ls", "--json"))]

    def remove(self, name: str) -> None:
        """Removes a stack without resources, with its history and its stack file.

        Raises:
            EngineFailure: it still has resources; destroy them first.
        """
        with locked(self.cli.folder / "Pulumi.yaml"):
            self.cli.run(name, "stack", "rm", "--yes")


def checkout(
    folder: Path = ROOT,
    *,
    backend: str | None = None,
    environment: Mapping[str, str] | None = None,
    limit: int = LIMIT,
) -> Workspace:
    """Stacks of a checkout of this program: their stack files lie beside Pulumi.yaml, as for `pulumi` itself.

    Args:
        folder: where Pulumi.yaml is, which is never written.
        backend: URL of the state's backend; PULUMI_BACKEND_URL or the login of PULUMI_HOME otherwise.
        environment: the engine's whole environment, with PATH; this process's otherwise. Here go
            PULUMI_CONFIG_PASSPHRASE, PULUMI_HOME, AWS_PROFILE and the like, never on a command line.
        limit: how many operations run at once; others wait for their turn.

    Raises:
        NoProject: there is no Pulumi.yaml.
    """
    return _workspace(folder.resolve(), backend, environment, limit, runs_inline=False)


def inline(
    folder: Path,
    *,
    backend: str | None = None,
    environment: Mapping[str, str] | None = None,
    limit: int = LIMIT,
) -> Workspace:
    """Stacks of a service: in a folder of its own, with the program run by worker processes of this Python.

    Args:
        folder: made if it is not there; holds Pulumi.yaml and the stacks' files, and has to last as they do.
        backend: as for `checkout`.
        environment: as for `checkout`.
        limit: as for `checkout`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "Pulumi.yaml").exists():
        declared = dict(project_file(ROOT).content)
        declared["runtime"] = "python"  # this Python, not a virtual environment of the checkout's
        new = folder / f".Pulumi.yaml.{id(declared)}"
        new.write_text(write(declared), "utf-8")
        shutil.move(new, folder / "Pulumi.yaml")
    return _workspace(folder.resolve(), backend, environment, limit, runs_inline=True)


def _workspace(
    folder: Path, backend: str | None, environment: Mapping[str, str] | None, limit: int, *, runs_inline: bool
) -> Workspace:
    if not (folder / "Pulumi.yaml").exists():
        raise errors.NoProject(folder)
    try:
        project = project_file(folder).name
    except FileError as error:
        raise errors.NoProject(folder, str(error)) from None
    whole = engine_environment(environment, backend)
    return Workspace(
        runs_inline=runs_inline,
        cli=Cli(folder=folder, project=project, environment=whole, redactor=Redactor(whole)),
        pool=futures.ThreadPoolExecutor(limit, thread_name_prefix="pulumi"),
    )
