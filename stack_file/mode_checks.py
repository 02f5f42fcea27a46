"""Check `initialValues`: what a mode cannot do, and settings that contradict each other."""

from collections.abc import Iterator

from stack_file.mistakes import Mistake, path_of
from stack_file.stack_secrets import StackSecret, stack_secrets
from stack_file.top_level import StackFile

# The value writer keeps generations in staging labels, which AWS limits: see
# components/lambdas/writer/generation_labels.py.
MOST_GENERATIONS = 60


def wrong_modes(namespace: str, stack_file: StackFile) -> Iterator[Mistake]:
    """Yield the mistakes in the modes of all secrets."""
    for secret in stack_secrets(stack_file):
        if secret.mode == "account":
            yield from _known_to_pulumi(namespace, secret)
        yield from _contradictory_keys(namespace, secret)
        raised = [key for key, value in secret.values.items() if value.generation > 1]
        if len(raised) > MOST_GENERATIONS:
            yield Mistake(
                path_of(namespace, (*secret.place, "values")),
                f"{len(raised)} keys have a generation",
                f"AWS has room to record {MOST_GENERATIONS}",
                "Move some of the keys to another secret",
            )


def _known_to_pulumi(namespace: str, secret: StackSecret) -> Iterator[Mistake]:
    configured = [(*secret.place, *place, "config") for place, value in secret.sources if value.config]
    if secret.configured_password:
        configured.append(secret.configured_password)
    for place in configured:
        yield Mistake(
            path_of(namespace, place),
            "the value comes from Pulumi's configuration, but initialValues is account",
            "It would be in Pulumi's state, and in the memory of every update",
            "Use filledByHand and fill it in in AWS, or set initialValues: managed for this secret"
            if place[-1] == "config"
            else "Set initialValues: managed for this secret",
        )


def _contradictory_keys(namespace: str, secret: StackSecret) -> Iterator[Mistake]:
    for index, key in enumerate(secret.settings.removed_keys):
        if key in secret.keys:
            yield Mistake(
                path_of(namespace, (*secret.place, "removedKeys", index)),
                f'"{key}" is declared and also in removedKeys',
                "Every update would add it and remove it again",
                "Remove it from one of the two",
            )
