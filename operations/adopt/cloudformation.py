"""Read what a CloudFormation template, which CDK makes too, and its stack know of secrets.

Sources: AWS CloudFormation User Guide, "AWS::SecretsManager::Secret" and "GenerateSecretString"; API
Reference, DescribeStackResources and ListStackResources.
"""

import json
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from operations.adopt.json_files import as_list, as_object, parsed_object, text_of
from operations.adopt.login_functions import application_of
from operations.adopt.model import Generated, Hidden, LoginFields, Origin, Origins, Shape, SourceError
from operations.adopt.value_shapes import login_fields, shape_of
from stack_file.secrets import Random

SECRET = "AWS::SecretsManager::Secret"  # noqa: S105  a resource type
POLICY = "AWS::SecretsManager::ResourcePolicy"
ROTATION = "AWS::SecretsManager::RotationSchedule"
ATTACHMENT = "AWS::SecretsManager::SecretTargetAttachment"

_DEFAULT_LENGTH = 32
_NUMBER = re.compile(r"[0-9]{1,5}")  # AWS takes up to 4096
_RETAINED = ("Retain", "RetainExceptOnCreate")


@dataclass(frozen=True, kw_only=True)
class Template:
    """A template: what its stack's secrets are, and which resources a deletion of the stack would delete.

    Attributes:
        origins: what it knows of secrets.
        deleted: logical ids of resources of adopted kinds without `DeletionPolicy: Retain`.
    """

    origins: Origins
    deleted: tuple[str, ...]


def read(template: str, resources: Mapping[str, str]) -> Template:
    """Read a template.

    Args:
        template: its text, JSON or YAML.
        resources: logical to physical ids of the stack's resources, of which a secret's is its ARN.

    Raises:
        SourceError: it is not a template.
    """
    document = _document(template)
    declared = as_object(document.get("Resources"), "Resources")
    if not declared:
        raise SourceError(
            "The template has no Resources. Name a CloudFormation template, or CDK's *.template.json."
        )
    about = {str(name): as_object(resource, f"Resources.{name}") for name, resource in declared.items()}
    secrets: dict[str, Origin] = {}
    left_out: dict[str, str] = {}
    for name, resource in about.items():
        if _type(resource) != SECRET:
            continue
        arn = resources.get(name, "")
        if not arn.startswith("arn:"):
            left_out[name] = "the stack has no such resource: is this the template that was deployed last?"
        elif arn in secrets:
            left_out[name] = f"{secrets[arn].place} is the same secret"
        else:
            secrets[arn] = _origin(name, resource, about, resources)
    kinds = {SECRET, POLICY, ROTATION}
    deleted = tuple(
        name
        for name, resource in about.items()
        if _type(resource) in kinds and text_of(resource.get("DeletionPolicy")) not in _RETAINED
    )
    return Template(origins=Origins(secrets=secrets, left_out=left_out), deleted=deleted)


def physical_ids(text: str) -> dict[str, str]:
    """Return logical to physical ids from the JSON of DescribeStackResources or ListStackResources.

    Raises:
        SourceError: it is neither.
    """
    document = parsed_object(text, "The list of the stack's resources")
    listed = document.get("StackResources", document.get("StackResourceSummaries"))
    if listed is None:
        raise SourceError(
            "The list of the stack's resources has no StackResources. Write it with: "
            "aws cloudformation describe-stack-resources --stack-name NAME > resources.json"
        )
    return ids_of(as_list(listed, "StackResources"))


def ids_of(listed: list[Any]) -> dict[str, str]:
    """Return logical to physical ids of resources as AWS lists them."""
    about = [as_object(one, "a resource of the stack") for one in listed]
    return {
        text_of(one.get("LogicalResourceId")): text_of(one.get("PhysicalResourceId"))
        for one in about
        if one.get("ResourceStatus") != "DELETE_COMPLETE"
    }


def _document(text: str) -> dict[str, Any]:
    if text.lstrip().startswith("{"):
        return parsed_object(text, "The template")
    try:
        found = yaml.load(text, Loader=_Loader)  # noqa: S506  a safe loader with CloudFormation's tags
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise SourceError(f"The template is not valid YAML{where}. Correct it, then try again.") from None
    except (RecursionError, ValueError):
        raise SourceError("The template is not valid YAML. Correct it, then try again.") from None
    if not isinstance(found, dict):
        raise SourceError("The template is not a map. Name a CloudFormation template.")
    return found


class _Loader(yaml.SafeLoader):
    """Takes CloudFormation's short functions, such as `!Sub`, for functions."""


def _function(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True) if isinstance(node, yaml.MappingNode) else None
    return {f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _function)


def _origin(
    name: str,
    resource: Mapping[str, Any],
    about: Mapping[str, Mapping[str, Any]],
    resources: Mapping[str, str],
) -> Origin:
    properties = as_object(resource.get("Properties"), f"Resources.{name}.Properties")
    arn = resources[name]
    remarks: list[str] = []
    shape = _shape(name, properties, remarks)
    addresses = [name]
    application, admin, server, of_function = "", None, "", ""
    for other, declared in about.items():
        if _type(declared) not in {POLICY, ROTATION, ATTACHMENT} or not _refers_to(declared, name, about):
            continue
        addresses.append(other)
        about_it = as_object(declared.get("Properties"), f"Resources.{other}.Properties")
        if _type(declared) == ATTACHMENT:
            targets = _targets({"Properties": {"SecretId": about_it.get("TargetId")}})
            server = next((resources[one] for one in targets if one in resources), server)
            remarks.append(
                f"{other} (SecretTargetAttachment) has added keys such as host and port, which the "
                "template does "
                "not name: list them with --read-keys"
            )
        if "HostedRotationLambda" in about_it:
            where = f"Resources.{other}.Properties.HostedRotationLambda"
            hosted = as_object(about_it["HostedRotationLambda"], where)
            application = application_of(text_of(hosted.get("RotationType")))
            admin = _arn_of(hosted.get("MasterSecretArn"), resources, about)
            of_function = (
                f"{other} made its rotation function (HostedRotationLambda): it belongs to a nested stack, "
                "which must stay as long as it rotates"
            )
    return Origin(
        arn=arn,
        place=name,
        shape=shape,
        addresses=addresses,
        remarks=remarks,
        application=application,
        admin_arn=admin,
        login=_login(properties),
        server=server,
        function_remark=of_function,
    )


def _login(properties: Mapping[str, Any]) -> LoginFields | None:
    """Return what the template says of a database login in its own text, without functions."""
    generated = properties.get("GenerateSecretString")
    template = generated.get("SecretStringTemplate") if isinstance(generated, dict) else None
    if not isinstance(generated, dict) or not isinstance(template, str):
        return None
    try:
        document = json.loads(template)
        return login_fields(json.dumps({**document, text_of(generated.get("GenerateStringKey")): _MARK}))
    except (ValueError, TypeError, RecursionError):
        return None


def _arn_of(
    value: object, resources: Mapping[str, str], about: Mapping[str, Mapping[str, Any]]
) -> str | None:
    """Return the ARN of the secret that a property refers to, directly or by way of its attachment."""
    if isinstance(value, str):
        return value if value.startswith("arn:") else None
    for target in _targets({"Properties": {"SecretId": value}}):
        found = resources.get(target, "")
        if found.startswith("arn:"):
            return found
        if target in about and _type(about[target]) == ATTACHMENT:
            return _arn_of(as_object(about[target].get("Properties"), target).get("SecretId"), resources, {})
    return None


def _refers_to(declared: Mapping[str, Any], name: str, about: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether a resource is a secret's, by itself or by way of the secret's attachment."""
    targets = _targets(declared)
    return name in targets or any(
        name in _targets(about[target])
        for target in targets & about.keys()
        if _type(about[target]) == ATTACHMENT
    )


def _targets(resource: Mapping[str, Any]) -> set[str]:
    """Return the logical ids that a resource's SecretId refers to: Ref, Fn::GetAtt, or their short forms."""
    properties = resource.get("Properties")
    secret = properties.get("SecretId") if isinstance(properties, dict) else None
    found: set[str] = set()
    for target in secret.values() if isinstance(secret, dict) else ():
        first = target[0] if isinstance(target, list) and target else target
        found.add(text_of(first).partition(".")[0])
    return found


def _type(resource: Mapping[str, Any]) -> str:
    return text_of(resource.get("Type"))


def _shape(name: str, properties: Mapping[str, Any], remarks: list[str]) -> Shape | None:
    given = properties.get("SecretString")
    if isinstance(given, str) and given:
        remarks.append(
            "its initial value is written out in the template: regard it as known to all who read that"
        )
        return shape_of(given)
    if "GenerateSecretString" not in properties:
        return None
    options = as_object(properties["GenerateSecretString"], f"Resources.{name}.GenerateSecretString")
    generated = _generated(name, options, remarks)
    key, template = options.get("GenerateStringKey"), options.get("SecretStringTemplate")
    if key is None and template is None:
        return Shape(content="text", whole=generated)
    if not isinstance(key, str) or not isinstance(template, str):
        remarks.append("its keys are made by functions of the template: list them with --read-keys")
        return None
    try:
        document = json.loads(template)
        text = json.dumps({**document, key: _MARK})
    except (ValueError, TypeError, RecursionError):
        remarks.append("its SecretStringTemplate is not a JSON object, so its keys are not known")
        return None
    return shape_of(text, lambda value: generated if value == Hidden(_MARK) else None)


_MARK = "generated by CloudFormation, not a value"
_PUNCTUATION = string.punctuation


def _generated(name: str, options: Mapping[str, Any], remarks: list[str]) -> Generated | None:
    length = options.get("PasswordLength", _DEFAULT_LENGTH)
    excluded = text_of(options.get("ExcludeCharacters"))
    special = not _is_true(options.get("ExcludePunctuation"))
    allowed = "".join(one for one in _PUNCTUATION if one not in excluded)
    made: dict[str, Any] = {
        "length": int(length) if isinstance(length, str) and _NUMBER.fullmatch(length) else length
    }
    classes = {
        "special": special and bool(allowed),
        "lower": not _is_true(options.get("ExcludeLowercase")),
        "upper": not _is_true(options.get("ExcludeUppercase")),
        "numeric": not _is_true(options.get("ExcludeNumbers")),
    }
    made |= {one: False for one, is_allowed in classes.items() if not is_allowed}
    if _is_true(options.get("RequireEachIncludedType", True)):
        made |= {f"min{one.title()}": 1 for one, is_allowed in classes.items() if is_allowed}
    if classes["special"]:
        made["overrideSpecial"] = allowed
    remarks += _not_carried(excluded, options)
    try:
        Random.model_validate(made)
    except ValidationError:
        remarks.append("how its value was generated cannot be declared in a stack file")
        return None
    return Generated(by=name, kind="random", options=made)


def _not_carried(excluded: str, options: Mapping[str, Any]) -> Iterator[str]:
    if any(one.isalnum() for one in excluded):
        yield "ExcludeCharacters has letters or digits, which a stack file cannot exclude one by one"
    if _is_true(options.get("IncludeSpace")):
        yield "IncludeSpace is not carried over: a stack file has no such setting"


def _is_true(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true")
