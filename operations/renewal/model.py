"""The plans and outcomes of renewing secrets and restarting their readers. None has a place for a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from program.desired import DesiredWorkload

Outcome = Literal["planned", "done", "failed", "by-hand"]


class Failure(Exception):  # noqa: N818  one secret's or reader's, which the report lists
    """A step that failed; the message gives the reason and what to do."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """The functions and servers that the deployment declares, from the stack's state and outputs.

    Attributes:
        functions: section and entry of a server to the ARN of its rotation function; None for random keys.
        servers: section and entry of a server to its host and port.
    """

    functions: Mapping[tuple[str, str] | None, str] = field(default_factory=dict)
    servers: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReaderPlan:
    """A workload that reads something that is renewed.

    Attributes:
        workload: as declared.
        secrets: names of the secrets that it reads.
    """

    workload: DesiredWorkload
    secrets: tuple[str, ...]


@dataclass(kw_only=True)
class ReaderOutcome:
    """The outcome for a workload."""

    name: str
    outcome: Outcome
    text: str
    commands: tuple[str, ...] = ()
