"""Mistakes about who writes values: what a mode cannot do, and what contradicts itself."""

from collections.abc import Iterator

from settings.mistakes import Mistake, path_of
from settings.secrets import Kept, Mode
from settings.stack_file import StackFile
from settings.stack_secrets import StackSecret, stack_secrets

# The writer keeps generations in staging labels, of which AWS allows few (functions/writer/record.py).
MOST_GENERATIONS = 60


def mode_of(stack_file: StackFile, secret: Kept) -> Mode:
    """A secret's own mode, else the stack's."""
    return secret.initial_values or stack_file.initial_values


def written_secrets(stack_file: StackFile) -> list[StackSecret]:
    """Return the secrets whose values the writer writes in the account."""
    return [secret for secret in stack_secrets(stack_file) if mode_of(stack_file, secret.kept) != "once"]


def wrong_modes(namespace: str, stack_file: StackFile) -> Iterator[Mistake]:
    """All such mistakes."""
    for secret in stack_secrets(stack_file):
        if mode_of(stack_file, secret.kept) == "account":
            yield from _known_to_pulumi(namespace, secret)
        yield from _contradictory_keys(namespace, secret)
        raised = [key for key, value in secret.values.items() if value.generation > 1]
        if len(raised) > MOST_GENERATIONS:
            yield Mistake(
                path_of(namespace, (*secret.place, "values")),
                f"{len(raised)} of its keys have a generation",
                f"AWS has room for a record of {MOST_GENERATIONS}",
                "Spread the keys over several secrets",
            )


def _known_to_pulumi(namespace: str, secret: StackSecret) -> Iterator[Mistake]:
    configured = [(*secret.place, *place, "config") for place, value in secret.sources if value.config]
    if secret.configured_password:
        configured.append(secret.configured_password)
    for place in configured:
        yield Mistake(
            path_of(namespace, place),
            "this value comes from Pulumi's configuration, and initialValues is account",
            "It would be in Pulumi's state, and in the memory of whoever updates the stack",
            "Write filledByHand and fill it in AWS, or initialValues: managed for this secret alone"
            if place[-1] == "config"
            else "Write initialValues: managed for this secret alone",
        )


def _contradictory_keys(namespace: str, secret: StackSecret) -> Iterator[Mistake]:
    for index, key in enumerate(secret.kept.removed_keys):
        if key in secret.keys:
            yield Mistake(
                path_of(namespace, (*secret.place, "removedKeys", index)),
                f'the secret is to have "{key}", and to have it removed',
                "Each update would add it and take it away",
                "Keep it in one of the two",
            )
