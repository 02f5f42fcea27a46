"""Secrets that other services of moto create (RDS: the master user's password), kept with all others.

Source: AWS Secrets Manager User Guide, "Secrets managed by other AWS services".
"""

from collections.abc import Iterator
from typing import Any

from moto.core.resource_tagging import TaggedResource
from moto.secretsmanager import urls
from moto.secretsmanager.models import SecretsManagerBackend

from tools.localcloud.emulator import managed_rotation, rotation, secrets_service
from tools.localcloud.emulator import secrets_rules as rules
from tools.localcloud.emulator.secrets_rules import Content, Secret, Store


# ruff: noqa: ANN401  moto's own form
class ManagedSecrets(SecretsManagerBackend):
    """The part of moto's Secrets Manager that moto's other services call."""

    @property
    def _url_module(self) -> Any:
        return urls  # moto looks next to the class

    @property
    def _store(self) -> Store:
        return secrets_service.store_of(self.account_id)

    def create_managed_secret(  # type: ignore[override]  # as it is called
        self,
        service_name: str,
        secret_id: str,
        secret_string: str,
        **more: Any,
    ) -> Secret:
        """Return a secret of a service; `more` has description, tags and kms_key_id."""
        secret = rules.create(
            self._store,
            partition=self.partition,
            account=self.account_id,
            region=self.region_name,
            name=secret_id,
        )
        secret.owner = service_name
        secret.description = more.get("description") or ""
        secret.tags = {tag["Key"]: tag["Value"] for tag in more.get("tags") or []}
        secret.kms_key_id = more.get("kms_key_id") or rules.AWS_MANAGED_KEY
        # moto gives every database the same password
        text = managed_rotation.renewed(secret_string)
        rules.put_value(secret, rules.new_token(), Content(text, None), None)
        rotation.begin_managed(self.account_id, secret)
        return secret

    def rotate_secret(self, secret_id: str, **_more: Any) -> None:  # type: ignore[override]  # as it is called
        """Rotate the password at once."""
        secret = self._store.find(self.region_name, secret_id)
        managed_rotation.renew(secret, rules.new_token())

    def delete_secret(self, secret_id: str, **_more: Any) -> None:  # type: ignore[override]  # as it is called
        """Delete at once, with the resource that the secret belongs to."""
        rules.delete(self._store, self._store.find(self.region_name, secret_id), None, force=True)

    def iter_tagged_resources(self) -> Iterator[TaggedResource]:
        """Yield all secrets of the region, for the Resource Groups Tagging API."""
        for secret in self._store.in_region(self.region_name):
            arn = rules.arn_in(secret, self.region_name)
            yield TaggedResource(arn=arn, tags=dict(secret.tags), resource_type="secretsmanager:secret")
