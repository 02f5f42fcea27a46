"""The Secrets Manager API over `secrets_rules`, in the place of moto's."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import cached_property
from typing import Any, TypeVar

from moto.core.exceptions import JsonRESTError
from moto.core.responses import BaseResponse
from moto.kms.models import kms_backends
from moto.utilities.utils import get_partition

from tools.localcloud.emulator import label_events, parameters, rotation
from tools.localcloud.emulator import secrets_rules as rules
from tools.localcloud.emulator.random_password import random_password
from tools.localcloud.emulator.secrets_rules import Content, Secret, ServiceError, Store, Version

_PAGE, _BATCH = 100, 20

# account to its secrets; `state.py` keeps it over a restart
STORES: dict[str, Store] = {}

# Why the caller of this request may not read one secret of a batch; None if it may.
MAY_READ: ContextVar[Callable[[str], str | None]] = ContextVar("MAY_READ", default=lambda _: None)


def store_of(account: str) -> Store:
    """Return the account's secrets."""
    store = STORES.setdefault(account, Store())
    store.forget_expired()
    return store


def account_in(secret_id: str) -> str | None:
    """Return the account that an ARN of a secret names."""
    found = re.match(r"arn:[a-z-]+:secretsmanager:[a-z0-9-]+:(\d{12}):secret:", secret_id)
    return found[1] if found else None


def all_secrets() -> Iterator[Secret]:
    """Yield every secret of every account and region."""
    for store in list(STORES.values()):
        for named in list(store.secrets.values()):
            yield from list(named.values())


def collect_versions(secret_id: str | None) -> int:
    """Collect unlabelled versions now, of one secret or of all, and return how many."""
    return sum(
        rules.collect(secret) for secret in all_secrets() if secret_id in {None, secret.name, secret.arn}
    )


def _answering(
    function: Callable[["SecretsManager"], Mapping[str, Any]],
) -> Callable[["SecretsManager"], "str | tuple[int, dict[str, Any], str]"]:
    def answer(service: "SecretsManager") -> str | tuple[int, dict[str, Any], str]:
        try:
            parameters.check("secretsmanager", service._get_action(), service.request_)  # noqa: SLF001  moto's own name for it
            rules.check_secret_id(service.request_.get("SecretId"))
            return json.dumps(function(service))
        except ServiceError as error:
            return _refused(error)
        except KeyError as missing:  # what AWS's description of itself does not call required
            return _refused(ServiceError("ValidationException", f"{missing} must not be null."))

    return answer


def _refused(error: ServiceError) -> tuple[int, dict[str, Any], str]:
    """Return the answer for an error; those of AWS's request layer spell `message` with a small letter."""
    text = "message" if error.code in {"SerializationException", "ValidationException"} else "Message"
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": error.code, "status": 400}
    return 400, headers, json.dumps({"__type": error.code, text: error.message})


# ruff: noqa: D102  the methods are AWS's operations, which its API reference describes
class SecretsManager(BaseResponse):
    """One request; moto calls the method that is named after its operation."""

    def __init__(self) -> None:
        super().__init__(service_name="secretsmanager")

    @cached_property
    def request_(self) -> dict[str, Any]:
        """The request's parameters."""
        found: dict[str, Any] = json.loads(self.body or "{}")
        return found

    def get_current_account(self) -> str:
        """Return the account whose secrets are meant: an ARN may name another than the caller's."""
        try:
            secret_id = str(self.request_.get("SecretId"))
        except (ValueError, AttributeError):
            secret_id = ""
        return account_in(secret_id) or super().get_current_account()

    @property
    def store(self) -> Store:
        """The account's secrets."""
        return store_of(self.current_account)

    def _living(self) -> Secret:
        return self.store.find_living(self.region, self.request_["SecretId"])

    def _writable(self) -> Secret:
        return self.store.find_writable(self.region, self.request_["SecretId"])

    def _name(self, secret: Secret) -> dict[str, Any]:
        return {"ARN": rules.arn_in(secret, self.region), "Name": secret.name}

    def _content(self) -> Content | None:
        asked = self.request_
        if asked.get("SecretString") is not None and asked.get("SecretBinary") is not None:
            raise rules.invalid_parameter("You can't specify both a binary secret value and a string.")
        if asked.get("SecretString") is None and asked.get("SecretBinary") is None:
            return None
        return Content(asked.get("SecretString"), asked.get("SecretBinary"))

    def _token(self) -> str:
        """Return the request's token, which every SDK sends.

        Raises:
            ServiceError: there is none, or it is too short or too long.
        """
        token = self.request_.get("ClientRequestToken")
        if token is None:
            raise rules.invalid_request(rules.UNIDENTIFIED)
        return rules.check_token(token)

    def _is_usable(self, key: str, region: str) -> bool:
        """Return whether a key of KMS exists, is not disabled and does not wait for its deletion."""
        if "aws/secretsmanager" in key:
            return True
        backend = kms_backends[self.current_account][region]
        try:
            found = backend.describe_key(backend.any_id_to_key_id(key) or key)
        except (JsonRESTError, KeyError):
            return False
        return bool(found.key_state == "Enabled")

    def _require_key(self, key: str, code: str, what: str) -> None:
        if not self._is_usable(key, self.region):
            raise ServiceError(
                code,
                f"Secrets Manager can't {what} the protected secret text using the provided KMS key. Check "
                "that the KMS key is available, enabled, and not in an invalid state.",
            )

    def _put(self, secret: Secret, token: str, content: Content, labels: list[str] | None) -> Version:
        self._require_key(secret.kms_key_id, "EncryptionFailure", "encrypt")
        with label_events.told(secret):
            return rules.put_value(secret, token, content, labels)

    @_answering
    def create_secret(self) -> Mapping[str, Any]:
        asked = self.request_
        name = rules.check_name(asked.get("Name"))
        tags = _tags(asked.get("Tags") or [])
        rules.check_tags(tags)
        content, token = self._content(), self._token()
        self._check_replicas(self.region)
        if content is not None:
            rules.check_content(content)
            self._require_key(asked.get("KmsKeyId") or rules.AWS_MANAGED_KEY, "EncryptionFailure", "encrypt")
        again = self.store.secrets.get(self.region, {}).get(name)
        if again is not None and again.deleted is None and again.token == token:
            return self._created(again, token, content)
        secret = rules.create(
            self.store,
            partition=get_partition(self.region),
            account=self.current_account,
            region=self.region,
            name=name,
        )
        secret.description = asked.get("Description") or ""
        secret.kms_key_id = asked.get("KmsKeyId") or rules.AWS_MANAGED_KEY
        secret.tags, secret.was_tagged, secret.token = tags, bool(tags), token
        secret.partner_type = asked.get("Type")
        if asked.get("AddReplicaRegions"):
            self._replicate(secret, asked["AddReplicaRegions"])
        return self._created(secret, token, content)

    def _created(self, secret: Secret, token: str, content: Content | None) -> Mapping[str, Any]:
        """Return CreateSecret's answer; a repeated request gets the same, and creates nothing."""
        answer = self._name(secret)
        if content is not None:
            answer["VersionId"] = self._put(secret, token, content, None).version_id
        if self.request_.get("AddReplicaRegions"):
            answer["ReplicationStatus"] = _replication_status(secret)
        return answer

    @_answering
    def put_secret_value(self) -> Mapping[str, Any]:
        token = self._token()
        secret, content = self._writable(), self._content()
        if content is None:
            raise rules.invalid_parameter("You must provide either SecretString or SecretBinary.")
        version = self._put(secret, token, content, self.request_.get("VersionStages"))
        return {
            **self._name(secret),
            "VersionId": version.version_id,
            "VersionStages": sorted(version.labels),
        }

    @_answering
    def update_secret(self) -> Mapping[str, Any]:
        asked, token = self.request_, self._token()
        secret, content = self._writable(), self._content()
        if "KmsKeyId" in asked:
            key = asked["KmsKeyId"] or rules.AWS_MANAGED_KEY
            self._require_key(key, "EncryptionFailure", "encrypt")
            rules.change_key(secret, key)
        if "Description" in asked:
            secret.description = asked["Description"]
        secret.changed = time.time()
        answer = self._name(secret)
        if content is not None:
            answer["VersionId"] = self._put(secret, token, content, None).version_id
        return answer

    @_answering
    def get_secret_value(self) -> Mapping[str, Any]:
        asked = self.request_
        return self._value(self._living(), asked.get("VersionId"), asked.get("VersionStage"))

    def _value(self, secret: Secret, version_id: str | None, label: str | None) -> dict[str, Any]:
        version = rules.wanted_version(secret, version_id, label)
        if self.region == secret.region:
            self._require_key(version.kms_key_id, "DecryptionFailure", "decrypt")
        version.accessed = secret.accessed = time.time() // 86_400 * 86_400
        answer = {
            **self._name(secret),
            "VersionId": version.version_id,
            "VersionStages": sorted(version.labels),
            "CreatedDate": version.created,
        }
        if version.content.text is not None:
            answer["SecretString"] = version.content.text
        else:
            answer["SecretBinary"] = version.content.binary
        return answer

    @_answering
    def batch_get_secret_value(self) -> Mapping[str, Any]:
        asked = self.request_
        if ("SecretIdList" in asked) == ("Filters" in asked):
            raise rules.invalid_parameter("Either SecretIdList or Filters must be provided, but not both.")
        matching = self._listed(asked.get("Filters") or [], deleted=False)
        page, more = _page([secret.name for secret in matching], asked, _BATCH)
        if "SecretIdList" in asked:
            page, more = asked["SecretIdList"], {}
        values, errors = [], []
        for secret_id in page:
            denial = MAY_READ.get()(secret_id)
            if denial is not None:
                refused = {"SecretId": secret_id, "ErrorCode": "AccessDeniedException", "Message": denial}
                errors.append(refused)
                continue
            try:
                values.append(self._value(self.store.find_living(self.region, secret_id), None, None))
            except ServiceError as error:
                errors.append({"SecretId": secret_id, "ErrorCode": error.code, "Message": error.message})
        return {"SecretValues": values, "Errors": errors, **more}

    @_answering
    def describe_secret(self) -> Mapping[str, Any]:
        return self._described(self.store.find(self.region, self.request_["SecretId"]))

    def _described(self, secret: Secret) -> dict[str, Any]:
        found: dict[str, Any] = {
            **self._name(secret),
            "CreatedDate": secret.created,
            "LastChangedDate": secret.changed,
        }
        if secret.tags or secret.was_tagged:
            found["Tags"] = [{"Key": key, "Value": value} for key, value in secret.tags.items()]
        if secret.labelled():
            found["VersionIdsToStages"] = secret.labelled()
        if secret.description:
            found["Description"] = secret.description
        replica = secret.replicas.get(self.region)
        key_id = replica.kms_key_id if replica else secret.kms_key_id
        if "aws/secretsmanager" not in key_id:
            found["KmsKeyId"] = key_id
        if secret.accessed:
            found["LastAccessedDate"] = secret.accessed
        if secret.deleted is not None:
            found["DeletedDate"] = secret.deleted
        if secret.owner is not None:
            found["OwningService"] = secret.owner
        if secret.partner_type:
            found["Type"] = secret.partner_type
        found.update(rotation.described(secret))
        if secret.replicas:
            found["PrimaryRegion"] = secret.region
            found["ReplicationStatus"] = _replication_status(secret)
        return found

    @_answering
    def list_secrets(self) -> Mapping[str, Any]:
        asked = self.request_
        found = self._listed(asked.get("Filters") or [], deleted=bool(asked.get("IncludePlannedDeletion")))
        found.sort(key=lambda secret: secret.created, reverse=asked.get("SortOrder") != "asc")
        page, more = _page(found, asked)
        return {"SecretList": [self._listed_as(secret) for secret in page], **more}

    def _listed_as(self, secret: Secret) -> dict[str, Any]:
        about = self._described(secret)
        labels = about.pop("VersionIdsToStages", None)
        return {**about, **({"SecretVersionsToStages": labels} if labels else {})}

    def _listed(self, filters: list[dict[str, Any]], *, deleted: bool) -> list[Secret]:
        return [
            secret
            for secret in self.store.in_region(self.region)
            if (deleted or secret.deleted is None) and all(_matches(secret, wanted) for wanted in filters)
        ]

    @_answering
    def list_secret_version_ids(self) -> Mapping[str, Any]:
        asked = self.request_
        secret = self.store.find(self.region, asked["SecretId"])
        versions = [
            version
            for version in secret.versions.values()
            if (version.labels or asked.get("IncludeDeprecated")) and not version.content.missing
        ]
        page, more = _page(versions, asked)
        return {
            **self._name(secret),
            "Versions": [
                {
                    "VersionId": version.version_id,
                    **({"VersionStages": sorted(version.labels)} if version.labels else {}),
                    "CreatedDate": version.created,
                    "KmsKeyIds": [_shown_key(version.kms_key_id)],
                    **({"LastAccessedDate": version.accessed} if version.accessed else {}),
                }
                for version in page
            ],
            **more,
        }

    @_answering
    def update_secret_version_stage(self) -> Mapping[str, Any]:
        asked, secret = self.request_, self._writable()
        target = asked.get("MoveToVersionId")
        with label_events.told(secret):
            rules.move_label(secret, asked["VersionStage"], asked.get("RemoveFromVersionId"), target)
        return self._name(secret)

    @_answering
    def rotate_secret(self) -> Mapping[str, Any]:
        rotation.check_token(self.request_)
        secret = self._writable()
        token = rotation.rotate(self.current_account, secret, self.request_)
        return {**self._name(secret), "VersionId": token}

    @_answering
    def cancel_rotate_secret(self) -> Mapping[str, Any]:
        secret = self._writable()
        token = rotation.cancel(secret)
        return {**self._name(secret), **({"VersionId": token} if token else {})}

    @_answering
    def delete_secret(self) -> Mapping[str, Any]:
        asked = self.request_
        force = bool(asked.get("ForceDeleteWithoutRecovery"))
        try:
            secret = self.store.find(self.region, asked["SecretId"])
        except ServiceError:
            if not force:
                raise
            return {"ARN": asked["SecretId"], "Name": asked["SecretId"], "DeletionDate": time.time()}
        rules.require_primary(secret, self.region)
        answer = self._name(secret)
        return {
            **answer,
            "DeletionDate": rules.delete(self.store, secret, asked.get("RecoveryWindowInDays"), force=force),
        }

    @_answering
    def restore_secret(self) -> Mapping[str, Any]:
        secret = self.store.find(self.region, self.request_["SecretId"])
        rules.require_primary(secret, self.region)
        secret.deleted = None
        return self._name(secret)

    @_answering
    def put_resource_policy(self) -> Mapping[str, Any]:
        asked, secret = self.request_, self._writable()
        document = rules.parsed_policy(asked["ResourcePolicy"])
        if asked.get("BlockPublicPolicy") and rules.is_public(document):
            raise ServiceError(
                "PublicPolicyException",
                "The BlockPublicPolicy parameter is set to true, and the resource policy did not prevent "
                "broad access to the secret.",
            )
        secret.policy = asked["ResourcePolicy"]
        return self._name(secret)

    @_answering
    def get_resource_policy(self) -> Mapping[str, Any]:
        secret = self.store.find_living(self.region, self.request_["SecretId"])
        return {**self._name(secret), **({"ResourcePolicy": secret.policy} if secret.policy else {})}

    @_answering
    def delete_resource_policy(self) -> Mapping[str, Any]:
        secret = self._writable()
        secret.policy = None
        return self._name(secret)

    @_answering
    def validate_resource_policy(self) -> Mapping[str, Any]:
        errors = []
        try:
            if rules.is_public(rules.parsed_policy(self.request_["ResourcePolicy"])):
                errors.append(
                    {"CheckName": "PublicPolicy", "ErrorMessage": "The policy grants public access."}
                )
        except ServiceError as error:
            errors.append({"CheckName": "ValidateJson", "ErrorMessage": error.message})
        return {"PolicyValidationPassed": not errors, "ValidationErrors": errors}

    @_answering
    def tag_resource(self) -> Mapping[str, Any]:
        secret = self._writable()
        tags = {**secret.tags, **_tags(self.request_["Tags"])}
        rules.check_tags(tags)
        secret.tags, secret.was_tagged = tags, secret.was_tagged or bool(tags)
        return {}

    @_answering
    def untag_resource(self) -> Mapping[str, Any]:
        secret, keys = self._writable(), self.request_["TagKeys"]
        secret.tags = {key: value for key, value in secret.tags.items() if key not in keys}
        return {}

    @_answering
    def get_random_password(self) -> Mapping[str, Any]:
        return {"RandomPassword": random_password(self.request_)}

    def _check_replicas(self, primary: str) -> None:
        """Check replicas before anything changes: a rejected request leaves nothing half done."""
        for copy in self.request_.get("AddReplicaRegions") or []:
            region = copy["Region"]
            if region == primary or region not in kms_backends[self.current_account]:
                raise rules.invalid_parameter("Invalid replica region.")

    def _replicate(self, secret: Secret, wanted: list[dict[str, str]]) -> None:
        """Replicate a secret. AWS does so after its answer: errors are only in the replica's status."""
        for copy in wanted:
            region, key = copy["Region"], copy.get("KmsKeyId") or rules.AWS_MANAGED_KEY
            if self.request_.get("ForceOverwriteReplicaSecret"):
                self.store.secrets.get(region, {}).pop(secret.name, None)
            secret.replicas.pop(region, None)
            taken = self.store.named(region, secret.name) is not None
            replica = secret.replicas[region] = rules.Replica(region, key)
            if taken:
                replica.failed = (
                    f"Replication failed: Secret name {secret.name} already exists in region {region}."
                )
            elif not self._is_usable(key, region):
                replica.failed = f"Replication failed: The KMS key can't be used in region {region}."

    @_answering
    def replicate_secret_to_regions(self) -> Mapping[str, Any]:
        asked, secret = self.request_, self._writable()
        self._check_replicas(secret.region)
        self._replicate(secret, asked["AddReplicaRegions"])
        return {"ARN": secret.arn, "ReplicationStatus": _replication_status(secret)}

    @_answering
    def remove_regions_from_replication(self) -> Mapping[str, Any]:
        secret = self._writable()
        for region in self.request_["RemoveReplicaRegions"]:
            secret.replicas.pop(region, None)
        return {"ARN": secret.arn, "ReplicationStatus": _replication_status(secret)}

    @_answering
    def stop_replication_to_replica(self) -> Mapping[str, Any]:
        primary = self._living()
        if primary.region == self.region:
            raise invalid_replica()
        replica = primary.replicas.pop(self.region)
        alone = Secret(
            arn=rules.arn_in(primary, self.region),
            name=primary.name,
            region=self.region,
            description=primary.description,
            kms_key_id=replica.kms_key_id,
            tags=dict(primary.tags),
            versions={
                version.version_id: Version(
                    version.version_id, version.content, replica.kms_key_id, labels=set(version.labels)
                )
                for version in primary.versions.values()
            },
        )
        self.store.secrets.setdefault(self.region, {})[alone.name] = alone
        return {"ARN": alone.arn}


def invalid_replica() -> ServiceError:
    """Return the error of StopReplicationToReplica outside a replica's region."""
    return rules.invalid_request("Operation permitted on a replica secret only, in the replica's region.")


_T = TypeVar("_T")


def _page(found: list[_T], asked: Mapping[str, Any], size: int = _PAGE) -> tuple[list[_T], dict[str, str]]:
    """Return the part of a list that was asked for, and where the next begins, if there is more."""
    token = asked.get("NextToken") or "0"
    if not (token.isascii() and token.isdigit()):
        raise ServiceError("InvalidNextTokenException", "The NextToken value is invalid.")
    start = int(token)
    end = start + (asked.get("MaxResults") or size)
    return found[start:end], ({"NextToken": str(end)} if end < len(found) else {})


def _tags(asked: list[dict[str, str]]) -> dict[str, str]:
    found = {tag["Key"]: tag["Value"] for tag in asked}
    if len(found) < len(asked):
        raise rules.invalid_parameter("A request can name each tag key only once.")
    return found


def _shown_key(kms_key_id: str) -> str:
    return "DefaultEncryptionKey" if "aws/secretsmanager" in kms_key_id else kms_key_id


def _replication_status(secret: Secret) -> list[dict[str, str]]:
    return [
        {
            "Region": replica.region,
            "KmsKeyId": replica.kms_key_id,
            "Status": "Failed" if replica.failed else "InSync",
            "StatusMessage": replica.failed or "Replication succeeded",
        }
        for replica in secret.replicas.values()
    ]


def _matches(secret: Secret, wanted: Mapping[str, Any]) -> bool:
    """Return whether a filter of ListSecrets matches: any of its prefixes; a leading `!` negates.

    For descriptions and `all`, each word of the value must begin a word of the secret's, whatever its case.

    Source: API Reference, Filter.
    """
    texts = {
        "name": [secret.name],
        "description": [secret.description],
        "tag-key": list(secret.tags),
        "tag-value": list(secret.tags.values()),
        "primary-region": [secret.region],
        "owning-service": [secret.owner] if secret.owner else [],
        "all": [secret.name, secret.description, *secret.tags, *secret.tags.values()],
    }.get(wanted["Key"], [])

    def found(value: str) -> bool:
        if wanted["Key"] in {"description", "all"}:
            words = [word for text in texts for word in text.lower().split()]
            return all(any(word.startswith(part) for word in words) for part in value.lower().split())
        return any(text.startswith(value) for text in texts)

    return any(not found(value[1:]) if value.startswith("!") else found(value) for value in wanted["Values"])
