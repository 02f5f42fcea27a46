"""Automation API for stacks of this program: create, configure, preview and update them from Python.

    workspace = operations.inline(Path("/var/lib/tenants"), backend="s3://state")
    stack = workspace.open("acme")
    stack.configure({"secrets": {...}}, secrets={"stripeKey": value}, aws={"region": "eu-west-1"})
    result = stack.up().result()

This package drives the CLI with the protocol of Pulumi's Automation API: `--exec-kind auto.*`, `--client`,
`--event-log`, and the SDK's language server for inline programs. It does not use the SDK's Stack class, which
exposes secrets (`up`, `outputs` and `export_stack` pass --show-secrets, `set_config` puts values on a command
line, unknown events are printed) and does not select and create stacks safely in parallel.
"""

import importlib

# typing's, whose import takes long enough for Ctrl-C to arrive in it
TYPE_CHECKING = False

if TYPE_CHECKING:
    from operations.errors import (
        AwsUnreachableError,
        BackendError,
        ConcurrentUpdateError,
        CredentialsError,
        EngineError,
        EngineKilledError,
        EventLogTruncatedError,
        Failure,
        InvalidConfigurationError,
        InvalidStackNameError,
        LockHolder,
        NotReviewedError,
        OperationCancelledError,
        OperationError,
        PassphraseError,
        ProgramError,
        ProjectError,
        ProviderError,
        PulumiNotFoundError,
        StackAlreadyExistsError,
        StackNotFoundError,
    )
    from operations.events import Ended, Message, Progress, StepDone, StepFailed, StepStarted
    from operations.operation import Operation
    from operations.results import Change, Result, UpdateRecord
    from operations.secrecy import SECRET, Secret
    from operations.stack import Stack
    from operations.workspace import Workspace, checkout, inline

__all__ = [
    "SECRET",
    "AwsUnreachableError",
    "BackendError",
    "Change",
    "ConcurrentUpdateError",
    "CredentialsError",
    "Ended",
    "EngineError",
    "EngineKilledError",
    "EventLogTruncatedError",
    "Failure",
    "InvalidConfigurationError",
    "InvalidStackNameError",
    "LockHolder",
    "Message",
    "NotReviewedError",
    "Operation",
    "OperationCancelledError",
    "OperationError",
    "PassphraseError",
    "ProgramError",
    "Progress",
    "ProjectError",
    "ProviderError",
    "PulumiNotFoundError",
    "Result",
    "Secret",
    "Stack",
    "StackAlreadyExistsError",
    "StackNotFoundError",
    "StepDone",
    "StepFailed",
    "StepStarted",
    "UpdateRecord",
    "Workspace",
    "checkout",
    "inline",
]

_MODULES = ("errors", "events", "results", "secrecy", "operation", "stack", "workspace")

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import an exported name on first use: a command pays only for the modules that it needs."""
        if name in __all__:
            for module in _MODULES:
                exported = vars(importlib.import_module(f"operations.{module}"))
                if name in exported:
                    return exported[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
