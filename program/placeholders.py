"""Placeholders that a workload needs and nobody has filled."""

import pulumi

from components.versions import INITIAL_VERSION_LABEL, UNFILLED_LABEL, LookupFailedError, list_versions
from components.visible import visible
from settings import StackFile
from settings.mistakes import path_of
from settings.stack_secrets import by_name


def warn_about_empty_ones(declared: StackFile) -> None:
    """Says which required placeholders still hold their first value; reads no value.

    Where several keys of a secret wait for a person, an edit of one counts for all.
    """
    secrets = by_name(declared)
    empty: dict[str, bool] = {}
    for name, workload in declared.workloads.items():
        for read in workload.reads:
            value = secrets[read.secret].values.get(read.key)
            if not read.required or value is None or value.filled_by_hand is None:
                continue
            if read.secret not in empty:
                empty[read.secret] = _holds_its_first_value(read.secret)
            if empty[read.secret]:
                path = path_of(pulumi.get_project(), ("workloads", name, *read.place))
                pulumi.log.warn(
                    visible(
                        f"{path}: {read.secret} waits for a person to fill {read.key} "
                        f"({value.filled_by_hand}). The workload needs it and gets an empty text until then."
                    )
                )


def _holds_its_first_value(secret: str) -> bool:
    try:
        versions = list_versions(secret)
    except LookupFailedError as error:
        # one that is not there yet is made by this update; a permission that a preview lacks tells nothing
        return "ResourceNotFound" in str(error)
    return any(
        "AWSCURRENT" in version.version_stages
        and not {INITIAL_VERSION_LABEL, UNFILLED_LABEL}.isdisjoint(version.version_stages)
        for version in versions
    )
