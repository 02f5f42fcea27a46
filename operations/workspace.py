"""A workspace: a project folder, a backend, an environment, and a limit of concurrent operations."""

import json
from collections.abc import Mapping, Sequence
from concurrent import futures
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from operations import errors
from operations.configuration import stack_file
from operations.files import locked, replace_text
from operations.pulumi_cli import Cli, engine_environment
from operations.secrecy import Redactor
from operations.stack import Stack
from stack_file.documents import FileError, may_be_file, project_file
from stack_file.yaml_text import write

ROOT = Path(__file__).parents[1]
LIMIT = 4


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The stacks of a project, from `checkout` or `inline`. Thread-safe.

    Attributes:
        runs_inline: whether a worker process runs the program, instead of the engine's language host.
        cli: the CLI for the project.
        pool: runs the operations.
    """

    runs_inline: bool
    cli: Cli = field(repr=False)
    pool: futures.Executor = field(repr=False)
    _redactors: dict[str, Redactor] = field(default_factory=dict, repr=False)

    def stack(self, name: str) -> Stack:
        """Return the stack with this name, without checking that it exists in the backend."""
        # a redactor for each stack, so that its cost does not grow with the number of stacks
        redactor = self._redactors.setdefault(name, Redactor(self.cli.environment))
        cli = replace(self.cli, redactor=redactor)
        return Stack(name=name, inline=self.runs_inline, cli=cli, pool=self.pool)

    def create(self, name: str, *, secrets_provider: str | None = None) -> Stack:
        """Create a stack.

        Args:
            name: name of the stack.
            secrets_provider: URL of what encrypts its secrets, such as awskms://alias/my-key (default: a
                passphrase).

        Raises:
            StackAlreadyExistsError: the stack already exists; it was not changed.
            InvalidStackNameError: Pulumi does not accept the name.
        """
        with self._creating():
            return self._create(name, secrets_provider)

    def open(self, name: str, *, secrets_provider: str | None = None) -> Stack:
        """Return the stack with this name; create it if it does not exist. Arguments as for `create`."""
        with self._creating():
            return self._open(name, secrets_provider)

    def open_all(
        self, names: Sequence[str], limit: int, *, secrets_provider: str | None = None
    ) -> list[Stack]:
        """Return the stacks with these names, which differ; create those that do not exist, several at once.

        Args:
            names: names of the stacks.
            limit: maximum number of stacks to create at once.
            secrets_provider: as for `create`.

        Raises:
            InvalidStackNameError: Pulumi does not accept a name; other stacks may have been created.
        """
        with self._creating(), futures.ThreadPoolExecutor(max(1, limit)) as threads:
            return list(threads.map(lambda name: self._open(name, secrets_provider), names))

    def _creating(self) -> AbstractContextManager[None]:
        """Keep other processes from creating stacks, for two would write one stack file."""
        return locked(self.cli.folder / "Pulumi.yaml")

    def _open(self, name: str, secrets_provider: str | None) -> Stack:
        try:
            return self._create(name, secrets_provider)
        except errors.StackAlreadyExistsError:
            return self.stack(name)

    def _create(self, name: str, secrets_provider: str | None) -> Stack:
        provider = ["--secrets-provider", secrets_provider] if secrets_provider else []
        file = stack_file(self.cli.folder, name)
        previous = file.read_bytes() if file.exists() else None
        try:
            # Pulumi stores the selected stack in a file of the user, which breaks when two processes select
            # at once (github.com/pulumi/pulumi/issues/8186): select nothing.
            self.cli.run(name, "stack", "init", "--no-select", *provider)
        except errors.OperationError:
            if previous is not None:
                file.write_bytes(previous)
            raise
        return self.stack(name)

    def stacks(self) -> list[str]:
        """Return the names of the project's stacks in the backend."""
        return [str(stack["name"]) for stack in json.loads(self.cli.run("", "stack", "ls", "--json"))]

    def remove(self, name: str) -> None:
        """Remove a stack that has no resources, with its history and its stack file.

        Raises:
            EngineError: the stack still has resources; destroy them first.
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
    """Open the stacks of a checkout of this program, whose stack files are next to Pulumi.yaml.

    Args:
        folder: folder of Pulumi.yaml, which is never written (default: this checkout).
        backend: URL of the state backend (default: PULUMI_BACKEND_URL, or the login of PULUMI_HOME).
        environment: the engine's complete environment, including PATH (default: this process's). Pass
            PULUMI_CONFIG_PASSPHRASE, PULUMI_HOME, AWS_PROFILE and so on here, never on a command line.
        limit: maximum number of concurrent operations; others are queued.

    Raises:
        ProjectError: the folder has no Pulumi.yaml, or it cannot be read.
    """
    return _workspace(folder.resolve(), backend, environment, limit, runs_inline=False)


def inline(
    folder: Path,
    *,
    backend: str | None = None,
    environment: Mapping[str, str] | None = None,
    limit: int = LIMIT,
) -> Workspace:
    """Open the stacks of a service in its own folder; worker processes of this Python run the program.

    Args:
        folder: folder of Pulumi.yaml and the stack files; created if it does not exist. Keep it as long as
            the stacks.
        backend: as for `checkout`.
        environment: as for `checkout`.
        limit: as for `checkout`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "Pulumi.yaml").exists():
        # without the virtual environment of the checkout: this Python runs the program
        project = {**project_file(ROOT).content, "runtime": "python"}
        replace_text(folder / "Pulumi.yaml", write(project))
    return _workspace(folder.resolve(), backend, environment, limit, runs_inline=True)


def _workspace(
    folder: Path, backend: str | None, environment: Mapping[str, str] | None, limit: int, *, runs_inline: bool
) -> Workspace:
    if not may_be_file(folder / "Pulumi.yaml"):
        raise errors.ProjectError(folder)
    try:
        project = project_file(folder).name
    except FileError as error:
        raise errors.ProjectError(folder, str(error)) from None
    complete = engine_environment(environment, backend)
    return Workspace(
        runs_inline=runs_inline,
        cli=Cli(
            folder=folder,
            project=project,
            environment=complete,
            redactor=Redactor(complete),
            runs_inline=runs_inline,
        ),
        pool=futures.ThreadPoolExecutor(limit, thread_name_prefix="pulumi"),
    )
