"""Check `renamedFrom`: a secret under two names, until its readers use the new one."""

import re
from collections.abc import Iterator

from stack_file.mistakes import Mistake, nearest, path_of
from stack_file.secrets import Secret
from stack_file.stack_secrets import by_name
from stack_file.top_level import StackFile

_GUIDE = "docs/move.md"
# AWS adds this to a secret's name in its ARN
_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}")


def wrong_renames(namespace: str, stack_file: StackFile) -> Iterator[Mistake]:
    """Yield the mistakes of secrets that are being renamed."""
    renamed: dict[str, str] = {}
    for name, secret in stack_file.secrets.items():
        old = secret.renamed_from
        if old is None:
            continue
        path = path_of(namespace, ("secrets", name, "renamedFrom"))
        if old in renamed:
            yield Mistake(
                path,
                f"{old} is being renamed to {renamed[old]} already",
                "The function that copies it has one target",
                f"Finish that rename first ({_GUIDE})",
            )
        renamed.setdefault(old, name)
        yield from _wrong_source(path, name, old, stack_file)
        yield from _differences(namespace, name, secret, stack_file.secrets.get(old))


def _wrong_source(path: str, name: str, old: str, stack_file: StackFile) -> Iterator[Mistake]:
    known = by_name(stack_file)
    if old == name:
        yield Mistake(
            path,
            "it is the name of the secret itself",
            "",
            "Name the entry by its new name, and keep the entry of the old one",
        )
    elif old not in known:
        yield Mistake(
            path,
            f"this stack file declares no secret {old}{nearest(old, known)}",
            "There would be no value to copy",
            f"Keep the entry of {old} until the rename is finished; if it is finished, remove renamedFrom",
        )
    elif old not in stack_file.secrets:
        yield Mistake(
            path,
            f"{old} is a database login",
            "Two secrets with one password would each rotate it, and lock out the readers of the other",
            f"Declare another login with its own username, and remove {old} once its readers have moved "
            f"({_GUIDE})",
        )
    elif stack_file.secrets[old].renamed_from is not None:
        yield Mistake(
            path,
            f"{old} is itself being renamed, from {stack_file.secrets[old].renamed_from}",
            "It could have an older value when it is copied",
            "Finish that rename first",
        )
    if _is_suffixed(name, old) or _is_suffixed(old, name):
        yield Mistake(
            path,
            "the names differ only in a hyphen and six characters",
            "AWS adds as much to a name in its ARN, so an incomplete ARN could mean either secret",
            "Use a name that ends differently",
        )


def _is_suffixed(longer: str, name: str) -> bool:
    return longer.startswith(name) and _SUFFIX.fullmatch(longer[len(name) :]) is not None


def _differences(namespace: str, name: str, secret: Secret, old: Secret | None) -> Iterator[Mistake]:
    if old is None:
        return
    place = path_of(namespace, ("secrets", name))
    if secret.content != old.content or {*secret.values} != {*old.values}:
        yield Mistake(
            place,
            f"its {'content and keys' if secret.content != old.content else 'keys'} differ from those of "
            f"{secret.renamed_from}, whose value it gets",
            "Readers would miss what is declared",
            "Declare the same keys in both entries, and change them once the rename is finished",
        )
    for key, value in [*secret.values.items(), *([("", secret.whole)] if secret.whole else [])]:
        if value.generation > 1:
            yield Mistake(
                f"{place}.{secret.content}"
                if not key
                else path_of(namespace, ("secrets", name, "values", key)),
                "generation is set in an entry with renamedFrom",
                "The value would be regenerated when the rename is finished",
                "Remove generation here; the new name starts at 1",
            )
    for declared, which in ((secret, name), (old, str(secret.renamed_from))):
        if declared.rotation or declared.partner:
            kind = "rotation" if declared.rotation else "partner"
            yield Mistake(
                path_of(namespace, ("secrets", which, kind)),
                "a secret that is being renamed cannot rotate",
                "Each name would rotate on its own, and readers of the other would get an old value",
                f"Remove {kind} from both entries and update; declare it again once the rename is finished"
                if kind == "rotation"
                else "Declare the vendor's credentials under the new name, and remove the old entry once its "
                "readers have moved",
            )
