"""The emulator finds the service of a request by its host."""

import pytest
from moto import backends
from moto.moto_server.werkzeug_app import create_backend_app

from tools.localcloud.emulator.server import Services


def test_the_service_of_a_host_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    names = list(backends.list_of_moto_modules())

    def look() -> list[str]:
        looked.append("")
        return names

    monkeypatch.setattr(backends, "list_of_moto_modules", look)
    services = Services(create_backend_app)
    host = "secretsmanager.us-east-1.amazonaws.com"
    assert {services.get_backend_for_host(host) for _ in range(3)} == {"secretsmanager"}
    assert len(looked) == 1
