"""Read what a Terraform state knows of secrets: a state file, or what `terraform show -json` prints.

Sources: Terraform's internals, "State file format" (version 4; internal/states/statefile/version4.go) and
"JSON output format" (values representation, format version 1.x).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operations.adopt.generated_values import generated_values
from operations.adopt.json_files import as_list, as_object, parsed_object, text_of
from operations.adopt.leaving_terraform import plain
from operations.adopt.login_functions import ENDPOINT, VARIABLES
from operations.adopt.model import Generated, Hidden, Origin, Origins, RotationFunction, Shape, SourceError
from operations.adopt.terraform_instance import POLICY, ROTATION, SECRET, VERSION, Instance
from operations.adopt.value_shapes import login_fields, shape_of

_ADDRESS = re.compile(r"[\w-]+(\.[\w-]+)+")
_STATE_VERSION = 4
_FORMAT = "1."
_DEFAULT_RECOVERY_DAYS = 30
_PULL = "Write it with: terraform state pull > state.json"


@dataclass(frozen=True, kw_only=True)
class TerraformState:
    """A state: all its managed instances, and what it knows of secrets."""

    instances: Sequence[Instance]
    origins: Origins


def read(text: str) -> TerraformState:
    """Read a state.

    Raises:
        SourceError: it is not a state of a known version.
    """
    document = parsed_object(text, "The Terraform state")
    _check_kind(document)
    instances = list(_of_state_file(document) if "version" in document else _of_show(document))
    for instance in instances:
        # addresses are written into a file that Terraform runs
        if not _ADDRESS.fullmatch(plain(instance.resource)):
            raise SourceError("A resource of the state has an address that Terraform does not make. " + _PULL)
    return TerraformState(instances=instances, origins=_origins(instances))


# What a file may be instead of a state, by a key that only it has.
_OTHER_FILES = {
    "encrypted_data": "The state is encrypted (OpenTofu). Give the plain form: tofu show -json > state.json",
    "planned_values": f"This is a plan, not a state. {_PULL}",
    "resource_changes": f"This is a plan, not a state. {_PULL}",
    "deployment": f"This is the state of a Pulumi stack, not of Terraform. {_PULL}",
    "Resources": "This is a CloudFormation template: use the origin cloudformation.",
}


def _check_kind(document: Mapping[str, Any]) -> None:
    for key, words in _OTHER_FILES.items():
        if key in document:
            raise SourceError(words)
    if "backend" in document and not document.get("resources"):
        raise SourceError(f"This file only says where the state is (a backend). {_PULL}")
    if "version" in document:
        _check_version(document["version"])
        return
    format_version = document.get("format_version")
    if not isinstance(format_version, str):
        raise SourceError(
            f"This is not a Terraform state: it has neither version nor format_version. {_PULL}"
        )
    if not format_version.startswith(_FORMAT):
        raise SourceError(
            f"The output of `terraform show -json` has a format version other than 1.x. {_PULL}"
        )


def _check_version(version: object) -> None:
    if not isinstance(version, int) or isinstance(version, bool):
        raise SourceError(f"The state has no version number, so it is not a Terraform state. {_PULL}")
    if version > _STATE_VERSION:
        raise SourceError(
            f"The state has format version {version}, which is newer than {_STATE_VERSION}. "
            "Give the form that stays the same: terraform show -json > state.json"
        )
    if version < _STATE_VERSION:
        raise SourceError(
            f"The state has format version {version}, of Terraform 0.11 or older. Upgrade it with "
            "`terraform apply` of Terraform 0.12 or newer, then write it again."
        )


def _of_state_file(document: Mapping[str, Any]) -> Iterator[Instance]:
    for number, given in enumerate(as_list(document.get("resources"), "resources")):
        where = f"resources[{number}]"
        resource = as_object(given, where)
        if resource.get("mode") != "managed":
            continue
        for index, one in enumerate(as_list(resource.get("instances"), f"{where}.instances")):
            place = f"{where}.instances[{index}]"
            instance = as_object(one, place)
            yield Instance(
                module=text_of(resource.get("module")),
                type=text_of(resource.get("type")),
                name=text_of(resource.get("name")),
                key=_key(instance.get("index_key")),
                attributes=as_object(instance.get("attributes"), f"{place}.attributes"),
                dependencies=_texts(instance.get("dependencies"), f"{place}.dependencies"),
                deposed="deposed" in instance,
            )


def _of_show(document: Mapping[str, Any]) -> Iterator[Instance]:
    values = as_object(document.get("values"), "values")
    modules = [as_object(values.get("root_module"), "values.root_module")]
    while modules:
        module = modules.pop(0)
        address = text_of(module.get("address"))
        for given in as_list(module.get("resources"), "resources of a module"):
            resource = as_object(given, "a resource")
            if resource.get("mode") != "managed":
                continue
            yield Instance(
                module=address,
                type=text_of(resource.get("type")),
                name=text_of(resource.get("name")),
                key=_key(resource.get("index")),
                attributes=as_object(resource.get("values"), "values of a resource"),
                dependencies=_texts(resource.get("depends_on"), "depends_on of a resource"),
                deposed="deposed_key" in resource,
            )
        children = as_list(module.get("child_modules"), "child_modules of a module")
        modules += [as_object(child, "a child module") for child in children]


def _key(index: object) -> str:
    if isinstance(index, str):
        escaped = index.replace("\\", "\\\\").replace('"', '\\"')
        return f'["{escaped}"]'
    return f"[{index}]" if isinstance(index, int) and not isinstance(index, bool) else ""


def _texts(value: object, where: str) -> tuple[str, ...]:
    return tuple(one for one in as_list(value, where) if isinstance(one, str))


def _origins(instances: Sequence[Instance]) -> Origins:
    generated = [(instance, one) for instance in instances for one in generated_values(instance)]
    secrets: dict[str, Origin] = {}
    left_out: dict[str, str] = {}
    for instance in instances:
        if instance.type != SECRET:
            continue
        arn = text_of(instance.attributes.get("arn"))
        if instance.deposed:
            left_out[instance.address] = "Terraform has replaced it and is about to destroy the old one"
        elif not arn.startswith("arn:"):
            left_out[instance.address] = "the state has no ARN of it: run terraform refresh, then try again"
        elif arn in secrets:
            left_out[instance.address] = f"{secrets[arn].place} is the same secret"
        else:
            secrets[arn] = _origin(arn, instance, instances, generated)
    known = {name for instance in instances if instance.type == SECRET for name in _names(instance)}
    for instance in instances:
        is_part = instance.type in {VERSION, POLICY, ROTATION} and not instance.deposed
        if is_part and _secret_of(instance) not in known:
            left_out[instance.address] = (
                "its secret is not in this state. If it is in another workspace, adopt from its state"
            )
    return Origins(secrets=secrets, left_out=left_out, functions=dict(_functions(instances)))


_FUNCTION = "aws_lambda_function"
_APPLICATION = "aws_serverlessapplicationrepository_cloudformation_stack"


def _functions(instances: Sequence[Instance]) -> Iterator[tuple[str, RotationFunction]]:
    """Yield the Lambda functions that the state declares, by ARN."""
    for instance in instances:
        given = instance.attributes
        if instance.type == _APPLICATION and not instance.deposed:
            outputs = as_object(given.get("outputs"), f"outputs of {instance.address}")
            application = text_of(given.get("application_id"))
            for arn in filter(None, map(text_of, outputs.values())):
                if ":function:" in arn:
                    yield arn, RotationFunction(arn=arn, application=application)
        if instance.type != _FUNCTION or instance.deposed:
            continue
        arn = text_of(given.get("arn"))
        environment = _first(given.get("environment"), f"environment of {instance.address}")
        variables = as_object(environment.get("variables"), f"environment of {instance.address}")
        network = _first(given.get("vpc_config"), f"vpc_config of {instance.address}")
        yield (
            arn,
            RotationFunction(
                arn=arn,
                handler=text_of(given.get("handler")),
                variables={name: text_of(variables.get(name)) for name in VARIABLES if variables.get(name)},
                has_endpoint=ENDPOINT in variables,
                subnet_ids=_texts(network.get("subnet_ids"), "subnet_ids"),
                security_group_ids=_texts(network.get("security_group_ids"), "security_group_ids"),
            ),
        )


def _first(blocks: object, where: str) -> dict[str, Any]:
    """Return the first block of a list of them; empty if there is none."""
    listed = as_list(blocks, where)
    return as_object(listed[0], where) if listed else {}


def _names(secret: Instance) -> set[str]:
    """Return how other resources name a secret."""
    return {name for key in ("arn", "id", "name") if (name := text_of(secret.attributes.get(key)))}


def _secret_of(instance: Instance) -> str:
    return text_of(instance.attributes.get("secret_arn" if instance.type == POLICY else "secret_id"))


def _origin(
    arn: str,
    secret: Instance,
    instances: Sequence[Instance],
    generated: Sequence[tuple[Instance, tuple[Hidden, Generated]]],
) -> Origin:
    names = _names(secret)
    parts = [
        instance
        for instance in instances
        if instance.type in {VERSION, POLICY, ROTATION}
        and not instance.deposed
        and _secret_of(instance) in names
    ]
    versions = [part for part in parts if part.type == VERSION]
    version = next((one for one in versions if _is_current(one)), versions[-1] if versions else None)
    days = secret.attributes.get("recovery_window_in_days", _DEFAULT_RECOVERY_DAYS)
    remarks = [*_remarks(secret, version)]
    if len(versions) > 1:
        remarks.append(f"Terraform declares {len(versions)} versions; only the current one is bound")
    return Origin(
        arn=arn,
        place=secret.address,
        shape=_shape(version, generated) if version else None,
        version_id=text_of(version.attributes.get("version_id")) or None if version else None,
        recovery_window_days=days if _is_window(days) else None,
        addresses=[secret.address, *(part.address for part in parts)],
        remarks=remarks,
        login=login_fields(text_of(version.attributes.get("secret_string"))) if version else None,
    )


def _is_current(version: Instance) -> bool:
    return "AWSCURRENT" in as_list(version.attributes.get("version_stages"), "version_stages")


def _is_window(days: object) -> bool:
    return isinstance(days, int) and not isinstance(days, bool) and (days == 0 or 7 <= days <= 30)  # noqa: PLR2004  AWS's limits


def _remarks(secret: Instance, version: Instance | None) -> Iterator[str]:
    if secret.attributes.get("force_overwrite_replica_secret") is True:
        yield "force_overwrite_replica_secret is not carried over: a stack file has no such setting"
    if version and version.attributes.get("has_secret_string_wo") is True:
        yield "its value is write-only (secret_string_wo), so the state knows no keys"


def _shape(version: Instance, generated: Sequence[tuple[Instance, tuple[Hidden, Generated]]]) -> Shape | None:
    text = text_of(version.attributes.get("secret_string"))
    if not text:
        return Shape(content="binary") if text_of(version.attributes.get("secret_binary")) else None
    # values may repeat; what the version depends on counts first, and dependencies have no instance keys
    first = [one for instance, one in generated if plain(instance.resource) in version.dependencies]
    others = [one for instance, one in generated if plain(instance.resource) not in version.dependencies]
    known: dict[Hidden, Generated] = {}
    for value, how in [*first, *others]:
        known.setdefault(value, how)
    return shape_of(text, known.get)
