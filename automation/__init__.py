"""Stacks of this program for other Python services: created, configured, previewed, updated and watched.

    workspace = automation.inline(Path("/var/lib/tenants"), backend="s3://state")
    stack = workspace.open("acme")
    stack.configure({"secrets": {...}}, secrets={"stripeKey": value}, aws={"region": "eu-west-1"})
    result = stack.up().result()

It speaks the protocol of Pulumi's Automation API with the CLI: `--exec-kind auto.*`, `--client`,
`--event-log`, and the SDK's language server for inline programs. The SDK's own Stack class is left aside,
because it shows secrets: `up`, `outputs` and `export_stack` ask for them with --show-secrets, `set_config`
puts values on a command line, and events that it does not know are printed. Nor is its way to select and
create stacks safe in parallel.
"""

from automation.errors import (
    AutomationError,
    BackendUnreachable,
    BadSettings,
    BadStackName,
    Cancelled,
    Conflict,
    CredentialsRefused,
    EngineFailure,
    EngineKilled,
    EngineMissing,
    EventsTruncated,
    Failure,
    LockHolder,
    NoProject,
    NotReviewed,
    ProgramFailure,
    ProviderFailure,
    StackExists,
    UnknownStack,
    WrongPassphrase,
)
from automation.events import Ended, Message, Progress, StepDone, StepFailed, StepStarted
from automation.operation import Operation
from automation.results import Change, Result, UpdateRecord
from automation.secrecy import SECRET, Secret
from automation.stack import Stack
from automation.workspace import Workspace, checkout, inline

__all__ = [
    "SECRET",
    "AutomationError",
    "BackendUnreachable",
    "BadSettings",
    "BadStackName",
    "Cancelled",
    "Change",
    "Conflict",
    "CredentialsRefused",
    "Ended",
    "EngineFailure",
    "EngineKilled",
    "EngineMissing",
    "EventsTruncated",
    "Failure",
    "LockHolder",
    "Message",
    "NoProject",
    "NotReviewed",
    "Operation",
    "ProgramFailure",
    "Progress",
    "ProviderFailure",
    "Result",
    "Secret",
    "Stack",
    "StackExists",
    "StepDone",
    "StepFailed",
    "StepStarted",
    "UnknownStack",
    "UpdateRecord",
    "Workspace",
    "WrongPassphrase",
    "checkout",
    "inline",
]
