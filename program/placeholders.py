"""Placeholders that a workload needs and nobody has filled."""

from collections.abc import Iterator, Mapping

import pulumi

from components.guards import INITIAL_VERSION_LABEL
from components.versions import LookupFailedError, list_versions
from settings import StackFile
from settings.mistakes import path_of
from settings.secrets import Value
from settings.workloads import Workload


def warn_about_empty_ones(declared: StackFile) -> None:
    """Says which required placeholders still hold their first value; reads no value.

    Where several keys of a secret wait for a person, an edit of one counts for all.
    """
    empty: dict[str, bool] = {}
    for name, workload in declared.workloads.items():
        for place, secret, key in _required(workload):
            hint = _hint(_values(declared, secret), key)
            if hint is None:
                continue
            if secret not in empty:
                empty[secret] = _holds_its_first_value(secret)
            if empty[secret]:
                pulumi.log.warn(
                    f"{path_of(pulumi.get_project(), ('workloads', name, *place))}: {secret} waits for a "
                    f"person to fill {key} ({hint}). The workload needs it and gets an empty text until then."
                )


def _required(workload: Workload) -> Iterator[tuple[tuple[str, str], str, str]]:
    for variable, read in workload.environment.items():
        if read.required:
            yield ("environment", variable), read.secret, read.key or variable
    for path, file in workload.files.items():
        if file.required:
            yield ("files", path), file.secret, file.key


def _values(declared: StackFile, secret: str) -> Mapping[str, Value]:
    if secret in declared.secrets:
        return declared.secrets[secret].values
    logins = (database.logins for database in declared.databases.values())
    return next((found[secret].values for found in logins if secret in found), {})


def _hint(values: Mapping[str, Value], key: str) -> str | None:
    return values[key].filled_by_hand if key in values else None


def _holds_its_first_value(secret: str) -> bool:
    try:
        versions = list_versions(secret)
    except LookupFailedError as error:
        # one that is not there yet is made by this update; a permission that a preview lacks tells nothing
        return "ResourceNotFound" in str(error)
    return any({"AWSCURRENT", INITIAL_VERSION_LABEL} <= set(version.version_stages) for version in versions)
