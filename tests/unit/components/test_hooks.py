import asyncio

import pulumi
import pytest

from components import hooks


def warnings(monkeypatch: pytest.MonkeyPatch, *, known: bool) -> list[str]:
    """Return the warnings about an update whose new values are known or not."""
    found: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", found.append)

    async def update() -> None:
        settled = [asyncio.get_running_loop().create_future() for _ in range(4)]
        for future, result in zip(settled, (set(), {"NEW": "x"}, known, False), strict=True):
            future.set_result(result)
        values: pulumi.Output[dict[str, str]] = pulumi.Output(*settled)
        await hooks._warn_of_undeployed_changes(
            pulumi.ResourceHookArgs(
                "urn",
                "",
                "app",
                "type",
                old_inputs={"initialValues": {"OLD": "x"}},
                new_inputs={"initialValues": values},
            )
        )

    asyncio.run(update())
    return found


def test_changes_that_are_not_applied_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    added, left = warnings(monkeypatch, known=True)
    assert added.startswith("app: NEW will not be applied")
    assert left.startswith("app: OLD stays in AWS")


def test_values_that_are_not_known_yet_bring_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    assert warnings(monkeypatch, known=False) == []
