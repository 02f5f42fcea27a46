"""Plan an adoption, and carry it out: labels, stack file, state, and the preview that proves it."""

import json
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import stack_file
from operations.adopt import login_lookups, stack_state
from operations.adopt.aws_objects import label_version, live_secrets
from operations.adopt.entries import Entry, Stack, entry
from operations.adopt.login_functions import ADMIN
from operations.adopt.logins import Logins, Options
from operations.adopt.model import LiveSecret, Origins, RotationFunction, SourceError
from operations.adopt.stack_file_edit import Database, Entries, add_entries, remove_entries, with_logins
from operations.adopt.stack_state import Additions, Step
from operations.configuration import stack_file as stack_file_path
from operations.errors import OperationError
from operations.exit_codes import ExitCode
from operations.fleet.stack_files import edited_stack
from operations.interrupts import interrupts_go_to
from operations.pulumi_cli import Cli
from operations.report.model import counted
from operations.results import UpdateRecord
from operations.secrecy import Redactor
from operations.stack import Stack as EngineStack
from operations.status.aws import AwsSession, Caller
from operations.status.errors import CredentialsError, QueryError
from operations.status.query import check_account
from program.arns import account_of
from stack_file import files
from stack_file.documents import keyed, map_in, project_file
from stack_file.secrets import Mode
from stack_file.size import too_large

TAKES_OVER = "this stack's function takes over its roles in the database; no password that works is changed"
"""What the next update does with a login besides changing its secret."""

_FORMAT = "adopt:format"
_ROTATION_TAG = "aws-secrets:rotation"
_STATE_IMPORT = "import"  # apitype.StackImportUpdate
_RECORDS = 10
_SECRETS_MANAGER = "aws:secretsmanager/"
_REPLACING = ("replace", "create-replacement", "delete-replaced")

Tell = Callable[[str], None]


class LostUpdateError(OperationError):
    """Another update ended while the state was changed; what it recorded is not in the state."""

    json_type = "LostUpdate"
    exit_code = ExitCode.CONFLICT

    def __init__(self, stack: str) -> None:
        super().__init__(
            f"Another update of stack {stack} ended while its state was changed: the state lacks what it "
            "recorded, and a further update could create its resources again. Do not update the stack. "
            "Import the state of that update (Pulumi Cloud: pulumi stack export --version N; other backends: "
            f".pulumi/backups) with pulumi stack import --stack {stack}, then run this command again."
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """An adoption that was not begun.

    Attributes:
        entries: the secrets to adopt.
        left_out: name or place of each other one to why it stays out.
        remarks: about the origin as a whole.
    """

    entries: Sequence[Entry]
    left_out: Mapping[str, str]
    remarks: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of an adoption.

    Attributes:
        adopted: the secrets that are now in the stack file and in the state.
        before: those of them that were there already.
        left_out: name or place of each other one to why it stays out.
        labelled: name of each secret to the label that its version has got.
        changes: what the next update does with adopted secrets, each a sentence.
        others: what it does besides, by operation.
    """

    adopted: Sequence[Entry]
    before: frozenset[str]
    left_out: Mapping[str, str]
    labelled: Mapping[str, str]
    changes: Sequence[str]
    others: Mapping[str, int]


def stack_of(folder: Path, name: str, mode: Mode | None) -> Stack:
    """Return the stack file that the entries go to; its account is not known yet.

    Raises:
        SourceError: secrets cannot be added to it.
        stack_file.documents.FileError: it cannot be read.
        stack_file.SettingsError: it has mistakes.
    """
    configuration = files.read(folder, name)
    project = project_file(folder)
    key = f"{configuration.project}:secrets"
    own = keyed(map_in(project.stack_file(name)).value.get("config"), configuration.project)
    if files.project_values(project).get(key) and key not in own:
        raise SourceError(
            "Pulumi.yaml has secrets for every stack, and a stack file with secrets of its own hides "
            "them. Copy "
            f"them into {project.stack_file(name).name} first."
        )
    checked = _checked(configuration)
    if checked.stack_file.fleet:
        raise SourceError(
            f"{project.stack_file(name).name} is a fleet's. Adopt into a stack of its own, then add "
            "it to the fleet."
        )
    if edited_stack(folder, name) != name:
        raise SourceError(
            f"{project.stack_file(name).name} is generated from a fleet's file, and would lose the new "
            "entries with the next `fleet` command, whose update would then delete the secrets. Adopt into a "
            "stack of its own, then add it to the fleet."
        )
    if checked.stack_file.pipeline:
        raise SourceError(
            f"{project.stack_file(name).name} is a pipeline's, which has no secrets. Name another stack."
        )
    databases = f"{configuration.project}:databases"
    return Stack(
        configuration=configuration,
        file=checked.stack_file,
        mode=mode,
        account_id="",
        region=checked.region,
        hides_databases=bool(files.project_values(project).get(databases)) and databases not in own,
    )


_STAND_IN = {"stand-in": {"text": {"filledByHand": "a stack file that makes nothing is a mistake"}}}


def _checked(configuration: stack_file.Configuration) -> stack_file.Checked:
    """Check a configuration, which may have no secrets yet."""
    project = configuration.project
    values = configuration.values
    if values.get(f"{project}:secrets") or values.get(f"{project}:databases"):
        return stack_file.check(configuration)
    with_one = replace(configuration, values={**values, f"{project}:secrets": _STAND_IN})
    checked = stack_file.check(with_one)
    return replace(checked, stack_file=checked.stack_file.model_copy(update={"secrets": {}}))


def plan(origins: Origins, stack: Stack, aws: AwsSession, caller: Caller, options: Options) -> Plan:
    """Compare an origin with AWS, and return what can be adopted.

    Args:
        origins: what the origin declares.
        stack: the stack file.
        aws: in the stack's region.
        caller: whose account the stack is in.
        options: the operator's decisions.

    Raises:
        QueryError: AWS could not be asked, or the credentials are of another account than the stack's.
        stack_file.SettingsError: the stack file would have mistakes with all of them.
        SourceError: an entry would have to be added to an included file.
    """
    check_account(stack.configuration, caller)
    stack = replace(stack, account_id=caller.account_id)
    live = live_secrets(aws, caller, origins.secrets, read_keys=options.read_keys)
    logins = _logins(origins, live, stack, aws, options)
    entries: list[Entry] = []
    left_out = dict(origins.left_out)
    names: dict[str, str] = {}
    for arn, origin in origins.secrets.items():
        found = live[arn]
        made = entry(found, origin, stack, logins)
        if found.name in names and not isinstance(made, str):
            made = f"the name is there twice: {names[found.name]} has it too"
        if isinstance(made, str):
            is_known = found.name in left_out or found.name in names
            left_out[f"{found.name} ({arn})" if is_known else found.name] = made
        else:
            entries.append(made)
            names[found.name] = origin.place
    added = new_entries(entries)
    for name in added.databases:
        if file := stack.configuration.included.get(("databases", name)):
            raise SourceError(
                f"The database {name} is declared in {file}, and logins are added to the stack file alone. "
                "Move its entry to the stack file first; a preview shows no change."
            )
    whole = stack.with_secrets({**added.secrets, **stack.secrets})
    key = f"{stack.configuration.project}:databases"
    if databases := with_logins(stack.databases, added.databases):
        whole = replace(whole, values={**whole.values, key: databases})
    if entries and (mistakes := _mistakes(whole)):
        raise stack_file.SettingsError(stack.configuration.stack, mistakes)
    return Plan(entries=entries, left_out=left_out, remarks=origins.remarks)


def _logins(
    origins: Origins, live: Mapping[str, LiveSecret], stack: Stack, aws: AwsSession, options: Options
) -> Logins:
    """Ask AWS about rotation functions and database servers, as far as there may be logins."""
    arns = [one.rotation.function_arn for one in live.values() if one.rotation]
    functions = {} if options.keep else login_lookups.functions(aws, arns, origins.functions)
    declared = [*origins.secrets.values()]
    by_functions = [
        one.variables.get(ADMIN) for one in functions.values() if isinstance(one, RotationFunction)
    ]
    administrators = [
        *options.administrators,
        *by_functions,
        *(one.admin_arn for one in declared),
        *(one.login.admin_arn for one in declared if one.login),
        *(one.admin.secret_arn for one in stack.file.databases.values() if one.admin),
    ]
    is_needed = not options.keep and (arns or any(_ROTATION_TAG in one.tags for one in live.values()))
    return Logins(
        file=stack.file,
        options=options,
        functions=functions,
        servers=login_lookups.servers(aws) if is_needed else {},
        administrators=frozenset(one for one in administrators if one),
    )


def new_entries(entries: Iterable[Entry]) -> Entries:
    """Return what a stack file lacks of these secrets and logins."""
    new = [one for one in entries if not one.written]
    databases: dict[str, Database] = {}
    for one in new:
        if one.login:
            known = databases.get(one.login.database)
            databases[one.login.database] = Database(
                server=one.login.server,
                logins={**(known.logins if known else {}), one.name: one.declared},
            )
    return Entries(secrets={one.name: one.declared for one in new if not one.login}, databases=databases)


def _mistakes(configuration: stack_file.Configuration) -> Sequence[stack_file.Mistake]:
    """Return the mistakes that all entries make together, such as a file that is too large."""
    try:
        stack_file.check(configuration)
    except stack_file.SettingsError as error:
        return error.mistakes
    return list(too_large(configuration))


@dataclass
class _Run:
    """An adoption under way."""

    engine: EngineStack
    aws: AwsSession
    tell: Tell
    entries: dict[str, Entry]
    left_out: dict[str, str]
    labelled: dict[str, str] = field(default_factory=dict)

    @property
    def cli(self) -> Cli:
        return self.engine.cli

    def leave_out(self, name: str, reason: str) -> None:
        self.entries.pop(name, None)
        self.left_out[name] = reason


def carry_out(made: Plan, engine: EngineStack, aws: AwsSession, tell: Tell) -> Outcome:
    """Carry out a plan; see the package's documentation for the order and why.

    Raises:
        OperationError: the engine failed, or the stack does not exist.
        CredentialsError: AWS rejects the credentials.
        SourceError: a file cannot be written.
    """
    run = _Run(
        engine=engine,
        aws=aws,
        tell=tell,
        entries={one.name: one for one in made.entries},
        left_out=dict(made.left_out),
    )
    state = exported(run.cli, engine.name)
    _check_state(run, state)
    _label(run)
    if not run.entries:
        return Outcome(
            adopted=(),
            before=frozenset(),
            left_out=run.left_out,
            labelled=run.labelled,
            changes=(),
            others={},
        )
    new = [one for one in run.entries.values() if not one.written]
    add_entries(run.cli.folder, run.cli.project, engine.name, new_entries(new))
    if new:
        entries = "1 entry" if len(new) == 1 else f"{len(new)} entries"
        tell(f"{entries} written to {stack_file_path(run.cli.folder, engine.name).name}")
    added = _add_to_state(run)
    _leave_out_undeclared(run, state, added)
    before = frozenset(run.entries) - frozenset(added.resources)
    changes, others = _verify(run, added)
    return Outcome(
        adopted=list(run.entries.values()),
        before=before & frozenset(run.entries),
        left_out=run.left_out,
        labelled={name: label for name, label in run.labelled.items() if name in run.entries},
        changes=changes,
        others=others,
    )


def _check_state(run: _Run, state: Mapping[str, Any]) -> None:
    present = stack_state.arns(state)
    accounts = {account_of(arn) for arn in present.values()}
    for name, one in list(run.entries.items()):
        account = account_of(one.live.arn)
        if accounts and account not in accounts:
            run.leave_out(
                name, f"it is in account {account}, the stack's secrets are in {', '.join(accounts)}"
            )
            continue
        for urn, arn in present.items():
            own = urn.endswith(stack_state.end_of_secret(one))
            if own and arn != one.live.arn:
                run.leave_out(name, f"the stack has another secret of this name already, {arn}")
            elif not own and arn == one.live.arn:
                run.leave_out(name, f"the stack has it already, as {urn.rpartition('::')[2]}")


def _leave_out_undeclared(run: _Run, state: Mapping[str, Any], added: Additions) -> None:
    """Leave out secrets that the preview did not show, and that the state does not have either."""
    present = {*stack_state.arns(state).values()}
    reason = "a preview shows no resource of it: check that Pulumi reads this stack file (stackConfigDir)"
    missing = {
        name: reason
        for name, one in run.entries.items()
        if name not in added.resources and one.live.arn not in present
    }
    if missing:
        _take_back(run, missing, ())


def _label(run: _Run) -> None:
    for name, one in list(run.entries.items()):
        if one.label is None or one.live.current is None:
            continue
        try:
            label_version(run.aws, one.live.arn, one.live.current, one.label)
        except CredentialsError:
            raise
        except QueryError as error:
            run.leave_out(name, f"its version could not be labelled: {str(error).splitlines()[0]}")
            continue
        run.labelled[name] = one.label
        run.entries[name] = replace(one, live=replace(one.live, labels=[*one.live.labels, one.label]))


def _add_to_state(run: _Run) -> Additions:
    """Add what the state lacks, at one stroke, and return it."""
    planned = previewed(run.engine)
    added = stack_state.additions(planned, list(run.entries.values()))
    for name, reason in added.impossible.items():
        _take_back(run, {name: reason}, ())
    resources = [*added.shared, *(one for each in added.resources.values() for one in each)]
    if added.resources:
        change_state(run.engine, lambda state: stack_state.with_resources(state, resources))
        run.tell(f"{counted(len(resources), 'resource')} added to the state")
    return added


def _verify(run: _Run, added: Additions) -> tuple[list[str], dict[str, int]]:
    """Preview, take back secrets with changes that were not announced, and return what is left to do.

    A secret that the state had before, perhaps from a run that was killed before this, is not taken back: it
    is left out if an update would replace it.
    """
    # a stack file without secrets is a mistake, which no preview passes
    planned = previewed(run.engine) if run.entries else []
    wrong: dict[str, list[str]] = {}
    for step in planned:
        name = stack_state.of_secret(step)
        if name in added.resources and name in run.entries and not _is_intended(step, run.entries[name]):
            wrong.setdefault(name, []).append(_words(step))
    for name, words in replaced(planned, run.entries.keys() - added.resources.keys()).items():
        run.leave_out(
            name,
            f"the state has it already, perhaps from an interrupted run, and an update would {words}. Do not "
            "update the stack: correct its entry, or take it out of the state (pulumi state delete)",
        )
    if wrong:
        urns = [one["urn"] for name in wrong for one in added.resources[name]]
        reasons = {
            name: f"an update would do more than was announced: {'; '.join(words)}. It was taken out of the "
            "state again: correct its entry, or remove it and let this command write it"
            for name, words in wrong.items()
        }
        _take_back(run, reasons, urns)
        planned = previewed(run.engine) if run.entries else []
    changes: list[str] = []
    others: dict[str, int] = {}
    for step in planned:
        if step.operation == "same":
            continue
        name = stack_state.of_secret(step)
        if name in run.entries:
            changes.append(f"{name}: {_words(step)}{_reason(step, run.entries[name])}")
        else:
            others[step.operation] = others.get(step.operation, 0) + 1
    return changes, others


def replaced(planned: Iterable[Step], names: Collection[str]) -> dict[str, str]:
    """Return which of these secrets an update would replace, each with what it would do."""
    found: dict[str, list[str]] = {}
    for step in planned:
        name = stack_state.of_secret(step)
        is_replaced = step.operation in _REPLACING and step.type.startswith(_SECRETS_MANAGER)
        if name is not None and name in names and is_replaced:
            found.setdefault(name, []).append(_words(step))
    return {name: "; ".join(dict.fromkeys(words)) for name, words in found.items()}


def _take_back(run: _Run, reasons: Mapping[str, str], urns: Iterable[str]) -> None:
    """Take secrets out of the state, then out of the stack file: the other order would delete them."""
    urns = list(urns)
    if urns:
        change_state(run.engine, lambda state: stack_state.without_resources(state, urns))
    new = new_entries(run.entries[name] for name in reasons)
    remove_entries(run.cli.folder, run.cli.project, run.engine.name, new)
    for name, reason in reasons.items():
        run.leave_out(name, reason)


# The component's own inputs are in no object of AWS; a function writes where the mode asks for it.
_WRITER = "aws:lambda/invocation:Invocation"


def _is_intended(step: Step, one: Entry) -> bool:
    if step.operation == "same":
        return True
    if step.type == _WRITER:
        return step.operation == "create" or (one.was_managed and one.login is not None)
    if one.was_managed:
        return step.operation in {"create", "update"}
    if step.type.startswith("aws-secrets:"):
        return step.operation == "update"
    return step.operation == "update" and bool(step.changed) and set(_properties(step)) <= one.intended.keys()


def _properties(step: Step) -> list[str]:
    """Return the properties that a step changes; tags with the provider's (tagsAll) count as tags."""
    return [name.removesuffix("All") for name in step.changed]


def _words(step: Step) -> str:
    what = step.type.rpartition(":")[2]
    changed = f" ({', '.join(step.changed)})" if step.changed else ""
    return f"{step.operation} {what}{changed}"


def _reason(step: Step, one: Entry) -> str:
    if step.type == _WRITER and step.urn.endswith("-provisioning"):
        works = "the function makes sure that it works, and changes no password that does"
        return f": {works if one.was_managed else TAKES_OVER}"
    if step.type == _WRITER:
        return (
            ": the function that writes values learns of it. It leaves every key as it is, and puts its "
            "record, a version with the value {} that is never current"
        )
    reasons = list(dict.fromkeys(one.intended[name] for name in _properties(step) if name in one.intended))
    return f": {'; '.join(reasons)}" if reasons else ""


def previewed(engine: EngineStack) -> list[Step]:
    """Return the steps of a preview, with texts exactly as the engine has them."""
    redactor = engine.cli.redactor
    plain = replace(engine, cli=replace(engine.cli, redactor=Redactor({})))
    try:
        with plain.preview() as preview:
            return stack_state.steps(preview.result().engine_events)
    except OperationError as error:
        # a preview has done nothing, and what it warned about is not redacted here
        error.done = None
        error.args = tuple(redactor.text(one) if isinstance(one, str) else one for one in error.args)
        raise


def change_state(engine: EngineStack, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
    """Export the state, change it, and import it.

    The engine locks the state for each of these, but not in between.

    Raises:
        LostUpdateError: another update ended in between, so that its records are lost.
    """
    before = _last_update(engine)
    imported(engine.cli, engine.name, change(exported(engine.cli, engine.name)))
    if _last_update(engine) != before:
        raise LostUpdateError(engine.name)


def _last_update(engine: EngineStack) -> UpdateRecord | None:
    """Return the last update; Pulumi Cloud lists imports of a state too."""
    records = engine.history(limit=_RECORDS)
    return next((record for record in records if record.kind != _STATE_IMPORT), None)


def exported(cli: Cli, stack: str) -> dict[str, Any]:
    """Return the deployment in the state, its secret values encrypted."""
    # a file, because what the facade reads from the engine's output has known secrets taken out
    with tempfile.TemporaryDirectory(prefix="adopt-") as folder:
        file = Path(folder, "state.json")
        cli.run(stack, "stack", "export", "--file", str(file))
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return {**found["deployment"], _FORMAT: found["version"]}


def imported(cli: Cli, stack: str, deployment: Mapping[str, Any]) -> None:
    """Replace the state by a deployment that `exported` returned, with changes."""
    given = {key: value for key, value in deployment.items() if key != _FORMAT}
    with tempfile.TemporaryDirectory(prefix="adopt-") as folder:
        file = Path(folder, "state.json")
        file.write_text(json.dumps({"version": deployment[_FORMAT], "deployment": given}), "utf-8")
        with _undisturbed():
            cli.run(stack, "stack", "import", "--file", str(file))


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM: a state that is cut off in its write would have to be repaired."""
    came: list[int] = []
    with interrupts_go_to(lambda number, _: came.append(number)):
        yield
    if came:
        raise KeyboardInterrupt
