"""A fleet's stacks: created, configured and operated together."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from operations.fleet.errors import (
    ForeignStackFileError,
    OrphanedStacksError,
    OutdatedStackFilesError,
    SecretsWouldMoveError,
)
from operations.fleet.parallel import FleetOperation, combined_outputs
from operations.fleet.partition import Group
from operations.fleet.secret_locations import locate_secrets, pending_moves
from operations.fleet.stack_files import FleetFile, is_generated, load_fleet_file
from operations.operation import Operation
from operations.stack import Stack
from operations.workspace import ROOT, Workspace, checkout

# An update of a small stack leaves garbage at each write of its state, and little in use: collecting it less
# often takes a fifth of its time off (docs/benchmarks.md). The limit is for plugins, which have more in use.
_LAZY_COLLECTOR = {"GOGC": "400", "GOMEMLIMIT": "1GiB"}
_SMALL = 200


def available_cpus() -> int:
    """Return the number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The stacks of a partitioned stack file, from `fleet`.

    The whole file is checked before any stack is operated, and no secret moves between stacks. In addition to
    the errors of a stack, the methods can raise ForeignStackFileError, SecretsWouldMoveError and
    OrphanedStacksError.

    Attributes:
        name: name of the fleet, as passed to Pulumi; it may start with the organization.
        file: the fleet's stack file.
        workspace: the workspace of the stacks.
        limit: maximum number of concurrent operations.
    """

    name: str
    file: FleetFile = field(repr=False)
    workspace: Workspace = field(repr=False)
    limit: int

    @property
    def groups(self) -> tuple[Group, ...]:
        """All groups, in the order of the file."""
        return self.file.partition.groups

    def write(self) -> list[Path]:
        """Write the groups' stack files that are missing or differ, without querying the backend.

        Returns:
            The files that were written.
        """
        self._check_foreign_files()
        return self.file.write(self.groups)

    def check_files(self) -> None:
        """Check that the groups' stack files are up to date.

        Raises:
            OutdatedStackFilesError: a file is missing or differs from the fleet's file.
        """
        self._check_foreign_files()
        if outdated := self.file.outdated_files():
            raise OutdatedStackFilesError(self.file.name, outdated)

    def prepare(self) -> None:
        """Create missing stacks, check that no secret would move, then write the stack files.

        Call it before `preview`, `up` and `refresh`.
        """
        self._check_foreign_files()
        existing = self._existing()
        missing = [group for group in self.groups if self._full_name(group.stack) not in existing]
        self.file.write(missing)
        provider = self.file.content.get("secretsprovider")
        names = [self._full_name(group.stack) for group in missing]
        self.workspace.open_all(names, self.limit, secrets_provider=provider)
        locations = locate_secrets(map(self.workspace.stack, existing), self.limit)
        if moves := pending_moves(self.file.partition, locations, self._full_name):
            raise SecretsWouldMoveError(self.file.name, moves)
        current = {self._full_name(group.stack) for group in self.groups} | {self.name}
        orphaned = {
            stack: len(secrets)
            for stack, secrets in locations.items()
            if secrets and stack not in current and self._is_generated(stack)
        }
        if orphaned:
            raise OrphanedStacksError(self.file.name, orphaned)
        self.file.write(self.groups)

    def preview(self, groups: Sequence[Group] | None = None) -> FleetOperation:
        """Start a preview of each group (default: all groups)."""
        return self._start(groups, Stack.preview)

    def up(self, groups: Sequence[Group] | None = None) -> FleetOperation:
        """Start an update of each group (default: all groups)."""
        return self._start(groups, Stack.up, writes=True)

    def refresh(self, groups: Sequence[Group] | None = None) -> FleetOperation:
        """Start a refresh of each group (default: all groups)."""
        return self._start(groups, Stack.refresh)

    def destroy(self, groups: Sequence[Group] | None = None, *, all_exist: bool = False) -> FleetOperation:
        """Start the deletion of the resources of each group that has a stack.

        Args:
            groups: the groups (default: all groups).
            all_exist: whether all of them have a stack; the backend is not queried then.
        """
        selected = groups if all_exist else self.with_stack(groups)
        return self._start(selected, Stack.destroy, writes=True)

    def with_stack(self, groups: Sequence[Group] | None = None) -> list[Group]:
        """Return the groups that have a stack (default: of all groups)."""
        existing = self._existing()
        selected = self.groups if groups is None else groups
        return [group for group in selected if self._full_name(group.stack) in existing]

    def outputs(self) -> dict[str, Any]:
        """Return the outputs of all stacks that exist, combined: see `combined_outputs`."""
        return combined_outputs({group.stack: self._stack(group).outputs() for group in self.with_stack()})

    def _start(
        self, groups: Sequence[Group] | None, operation: Callable[[Stack], Operation], *, writes: bool = False
    ) -> FleetOperation:
        """Start an operation; `writes` says that it writes the state again and again."""
        selected = self.groups if groups is None else groups
        stacks = {
            group.name: _tuned(self._stack(group))
            if writes and len(group.secrets) <= _SMALL
            else self._stack(group)
            for group in selected
        }
        return FleetOperation(stacks, operation)

    def _stack(self, group: Group) -> Stack:
        return self.workspace.stack(self._full_name(group.stack))

    def _full_name(self, stack: str) -> str:
        """Return a stack's name with the organization of the fleet's name, if it has one."""
        return f"{self.name.removesuffix(self.file.name)}{stack}"

    def _existing(self) -> list[str]:
        """Return the names of existing stacks of the fleet, including its own and those of former groups."""
        names = (self._full_name(stack.rpartition("/")[2]) for stack in self.workspace.stacks())
        return [name for name in names if name == self.name or name.startswith(f"{self.name}.")]

    def _is_generated(self, stack: str) -> bool:
        """Return whether a stack belonged to a group, rather than having a stack file of its own."""
        file = self.file.files / f"Pulumi.{stack.rpartition('/')[2]}.yaml"
        return not file.exists() or is_generated(file)

    def _check_foreign_files(self) -> None:
        if foreign := self.file.foreign_files():
            raise ForeignStackFileError(self.file.name, foreign)


def _tuned(stack: Stack) -> Stack:
    """Return the stack with an engine that collects garbage less often; the environment's settings win."""
    environment = stack.cli.environment
    if _LAZY_COLLECTOR.keys() & environment.keys():
        return stack
    return replace(stack, cli=replace(stack.cli, environment={**environment, **_LAZY_COLLECTOR}))


def fleet(
    name: str,
    folder: Path = ROOT,
    *,
    backend: str | None = None,
    environment: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> Fleet:
    """Open the fleet of Pulumi.NAME.yaml.

    Args:
        name: name of the fleet's file, and of the stack whose key or passphrase encrypts it.
        folder: folder of Pulumi.yaml (default: this checkout).
        backend: as for `operations.checkout`.
        environment: as for `operations.checkout`.
        limit: maximum number of concurrent operations (default: the number of CPUs).

    Raises:
        InvalidConfigurationError: the file has mistakes.
        ProjectError: the folder has no Pulumi.yaml.
    """
    limit = limit or available_cpus()
    return Fleet(
        name=name,
        file=load_fleet_file(folder.resolve(), name),
        workspace=checkout(folder, backend=backend, environment=environment, limit=limit),
        limit=limit,
    )
