"""A status as tables on a terminal."""

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from operations.status import texts
from operations.status.model import Kind, Observation, Secret, Status

_STYLES: dict[Kind, str] = {
    "expired": "bold red",
    "unavailable": "bold red",
    "rotation": "red",
    "rehearsal": "red",
    "readers": "red",
    "drift": "yellow",
    "waiting": "cyan",
    "aging": "blue",
    "unknown": "magenta",
}


def show(status: Status, console: Console) -> None:
    """Print secrets, workloads, then the problems: the end of the output is what an operator sees first."""
    console.print(Text(texts.clean(texts.place(status)), style="dim"))
    console.print(_secrets(status), "")
    if status.workloads:
        console.print(_workloads(status), "")
    _show_old_passwords(status, console)
    if status.observation:
        _show_readers(status, status.observation, console)
    for group in texts.groups(status):
        _show_group(group, console)
    if status.cost:
        console.print(Text(texts.clean(texts.cost(status)), style="dim"))
    style = "green" if not status.problems else "bold"
    console.print(Text(texts.clean(texts.headline(status)), style=style))


def _show_group(group: texts.Attention, console: Console) -> None:
    kinds = Text(" ").join(Text(kind, style=_STYLES[kind]) for kind in group.kinds)
    console.print(Text.assemble((texts.clean(group.owner), "bold"), "  ", kinds))
    sentences = [f"{text}." for text in group.texts]
    if group.readers:
        sentences.append(f"Read by {', '.join(group.readers)}.")
    for sentence in sentences:
        console.print(Padding(Text(texts.clean(sentence)), (0, 0, 0, 2)))
    for remedy in group.remedies:
        text = Text("  ")
        for part, is_command in texts.parts(texts.clean(remedy)):
            text.append(f"`{part}`" if is_command else part, style="bold" if is_command else "")
        # the terminal wraps it, so that a copied command has no line breaks
        console.print(text, soft_wrap=True)
    console.print()


def _secrets(status: Status) -> Table:
    is_rehearsed = any(secret.rehearsal for secret in status.secrets)
    table = _table("Secret", "State", "Changed", "Rotated", *["Rehearsed"] * is_rehearsed, "Read by")
    for secret in status.secrets:
        table.add_row(
            Text(texts.clean(secret.name), style="bold", overflow="fold"),
            Text(texts.clean(texts.state(secret)), style=_style(secret)),
            Text(texts.ago(secret.last_changed, status.asked_at)),
            Text(texts.rotation(secret, status.asked_at)),
            *[Text(texts.clean(texts.rehearsal(secret, status.asked_at)))] * is_rehearsed,
            Text(_readers(secret), overflow="fold"),
        )
    return table


def _readers(secret: Secret) -> str:
    return texts.clean(", ".join(reader.workload for reader in secret.readers) or "-")


def _style(secret: Secret) -> str:
    kinds = {problem.kind for problem in secret.problems}
    return next((_STYLES[kind] for kind in texts.KINDS if kind in kinds), "green")


def _workloads(status: Status) -> Table:
    with_roles = any(workload.role for workload in status.workloads)
    table = _table("Workload", "Runs as", *(["Role"] if with_roles else []), "Reads")
    for workload in status.workloads:
        reads = [
            texts.clean(texts.reads(secret, reader, ": "))
            for secret in status.secrets
            for reader in secret.readers
            if reader.workload == workload.name
        ]
        role = Text(texts.clean(texts.role_of(workload)), overflow="fold")
        table.add_row(
            Text(texts.clean(workload.name), style="bold", overflow="fold"),
            Text(texts.clean(workload.runs_as)),
            *([role] if with_roles else []),
            Text("\n".join(reads), overflow="fold"),
        )
    return table


def _show_old_passwords(status: Status, console: Console) -> None:
    for secret in status.secrets:
        if secret.old_passwords and secret.old_passwords.outlook:
            text = texts.clean(f"{secret.name}: {secret.old_passwords.outlook}")
            console.print(Text(text, style="bold" if secret.old_passwords.holders else "dim"), "")


def _show_readers(status: Status, found: Observation, console: Console) -> None:
    table = _table("Secret", "Who reads", "Is", "Reads", "Last", "From")
    for secret in status.secrets:
        for one in secret.readings.actual if secret.readings else ():
            table.add_row(
                Text(texts.clean(secret.name), style="bold", overflow="fold"),
                Text(texts.clean(one.principal), overflow="fold"),
                Text(texts.clean(texts.reader_kind(one)), style="" if one.declared else _STYLES["readers"]),
                Text(str(one.reads)),
                Text(texts.ago(one.last_read, status.asked_at)),
                Text(texts.clean(", ".join(one.sources)), overflow="fold"),
            )
    if table.row_count:
        console.print(table, "")
    suggested = [one for secret in status.secrets if secret.readings for one in secret.readings.suggestions]
    for suggestion in suggested:
        console.print(Text(texts.clean(f"{texts.suggestion(suggestion)}:")))
        for line in suggestion.lines.splitlines():
            # the terminal wraps it, so that copied lines have no line breaks
            console.print(Text(f"  {texts.clean(line)}", style="bold"), soft_wrap=True)
    console.print(Text(texts.clean(texts.observation(found)), style="dim"), "")


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column)
    return table
