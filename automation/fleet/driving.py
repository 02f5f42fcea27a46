"""The stacks of a fleet: made, written, and driven together."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from automation.fleet.division import Group
from automation.fleet.errors import FilesDiffer, NotOfTheFleet, SecretsElsewhere, StacksLeft
from automation.fleet.placed import moves, placed
from automation.fleet.stack_files import Source, is_made, source
from automation.fleet.together import Together, combined_outputs
from automation.operation import Operation
from automation.stack import Stack
from automation.workspace import ROOT, Workspace, checkout


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Made by `fleet`. `name` may have the organization before it, as Pulumi takes it.

    Before anything is started the whole file has been checked and divided, and no secret is in another
    stack than its group's. What the methods raise beside what a stack's do: NotOfTheFleet, SecretsElsewhere,
    StacksLeft.
    """

    name: str
    source: Source = field(repr=False)
    workspace: Workspace = field(repr=False)
    at_once: int

    @property
    def groups(self) -> tuple[Group, ...]:
        """All of them, in the order of the file."""
        return self.source.division.groups

    def write(self) -> list[Path]:
        """Writes the groups' stack files where they differ; returns those. Asks no backend."""
        self._refuse_foreign_files()
        return self.source.write(self.groups)

    def check_files(self) -> None:
        """Raises FilesDiffer where the groups' stack files are not what the fleet's file says."""
        self._refuse_foreign_files()
        if different := self.source.different():
            raise FilesDiffer(self.source.name, different)

    def prepare(self) -> None:
        """Makes stacks that are missing, sees that no secret would move, then writes the stack files."""
        self._refuse_foreign_files()
        existing = self._existing()
        missing = [group for group in self.groups if self._called(group.stack) not in existing]
        self.source.write(missing)
        provider = self.source.content.get("secretsprovider")
        for group in missing:
            self.workspace.open(self._called(group.stack), secrets_provider=provider)
        found = placed(map(self.workspace.stack, existing), self.at_once)
        if elsewhere := moves(self.source.division, found, self._called):
            raise SecretsElsewhere(self.source.name, elsewhere)
        ours = {self._called(group.stack) for group in self.groups} | {self.name}
        left = {
            stack: len(secrets)
            for stack, secrets in found.items()
            if secrets and stack not in ours and self._is_made(stack)
        }
        if left:
            raise StacksLeft(self.source.name, left)
        self.source.write(self.groups)

    def preview(self, groups: Sequence[Group] | None = None) -> Together:
        """What an up of the groups would do; call `prepare` before. All groups if none are named."""
        return self._together(groups, Stack.preview)

    def up(self, groups: Sequence[Group] | None = None) -> Together:
        """Creates and updates what the file says; call `prepare` before."""
        return self._together(groups, Stack.up)

    def refresh(self, groups: Sequence[Group] | None = None) -> Together:
        """Reads what there is in AWS into the states; call `prepare` before."""
        return self._together(groups, Stack.refresh)

    def destroy(self, groups: Sequence[Group] | None = None) -> Together:
        """Deletes what the groups' stacks have made, as far as protection allows."""
        existing = self._existing()
        there = [group for group in groups or self.groups if self._called(group.stack) in existing]
        return self._together(there, Stack.destroy)

    def outputs(self) -> dict[str, Any]:
        """The outputs of all stacks that are there, as one: see `combined_outputs`."""
        existing = self._existing()
        there = [group for group in self.groups if self._called(group.stack) in existing]
        return combined_outputs({group.stack: self._stack(group).outputs() for group in there})

    def _together(self, groups: Sequence[Group] | None, start: Callable[[Stack], Operation]) -> Together:
        chosen = self.groups if groups is None else groups
        return Together({group.name: self._stack(group) for group in chosen}, start)

    def _stack(self, group: Group) -> Stack:
        return self.workspace.stack(self._called(group.stack))

    def _called(self, stack: str) -> str:
        """With the organization that the fleet was named with."""
        return f"{self.name.removesuffix(self.source.name)}{stack}"

    def _existing(self) -> list[str]:
        """The fleet's own stack, and those whose names begin as its groups' do."""
        names = (self._called(stack.rpartition("/")[2]) for stack in self.workspace.stacks())
        return [name for name in names if name == self.name or name.startswith(f"{self.name}.")]

    def _is_made(self, stack: str) -> bool:
        """Whether it is a former group's: nobody has written a stack file of his own for it."""
        file = self.source.files / f"Pulumi.{stack.rpartition('/')[2]}.yaml"
        return not file.exists() or is_made(file)

    def _refuse_foreign_files(self) -> None:
        if foreign := self.source.foreign():
            raise NotOfTheFleet(self.source.name, foreign)


def fleet(
    name: str,
    folder: Path = ROOT,
    *,
    backend: str | None = None,
    environment: Mapping[str, str] | None = None,
    at_once: int | None = None,
) -> Fleet:
    """The fleet of Pulumi.NAME.yaml, checked and divided.

    Args:
        name: of the fleet's file, and of the stack whose key or passphrase encrypts it.
        folder: where Pulumi.yaml is.
        backend: as for `automation.checkout`.
        environment: as for `automation.checkout`.
        at_once: how many stacks at a time; as many as there are processors otherwise.

    Raises:
        BadSettings: with every mistake there is.
        NoProject: there is no Pulumi.yaml.
    """
    limit = at_once or cores()
    return Fleet(
        name=name,
        source=source(folder.resolve(), name),
        workspace=checkout(folder, backend=backend, environment=environment, limit=limit),
        at_once=limit,
    )
