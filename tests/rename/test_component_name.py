"""A component of the library gets another logical name, and the live secret does not notice."""

from tests.adopt.live import snapshot
from tests.support.stacks import Stack

PROGRAM = """
import pulumi
from components import FilledByHand, Random, Secret, SecretArgs

args = SecretArgs(
    secret_name="app",
    values={{"KEY": Random(length=32), "TOKEN": FilledByHand(hint="the vendor")}},
    policy={{
        "Version": "2012-10-17",
        "Statement": [
            {{
                "Effect": "Deny",
                "Principal": "*",
                "Action": "secretsmanager:DeleteResourcePolicy",
                "Resource": "*",
            }}
        ],
    }},
)
Secret("{name}", args, pulumi.ResourceOptions({options}))
"""


def test_an_alias_renames_the_component_and_changes_nothing_in_aws(stack: Stack) -> None:
    main = stack.folder / "__main__.py"
    main.unlink()  # a link to the program
    main.write_text(PROGRAM.format(name="before", options="protect=True"))
    stack.up()
    stack.edit("app", TOKEN="by hand")
    before = snapshot(stack, "app")
    renamed = 'protect=True, aliases=[pulumi.Alias(name="before")]'
    main.write_text(PROGRAM.format(name="after", options=renamed))
    assert stack.preview() == []
    assert stack.up() == []
    # from now on the alias is not needed
    main.write_text(PROGRAM.format(name="after", options="protect=True"))
    assert stack.preview() == []
    assert {one["urn"].rpartition("::")[2] for one in stack.state()["resources"]} >= {
        *("after", "after-secret", "after-random:KEY", "after-initial-version", "after-policy")
    }
    assert snapshot(stack, "app") == before
    # without the alias, the engine would replace the secret, which is protected
    main.write_text(PROGRAM.format(name="another", options="protect=True"))
    refused = stack.pulumi("preview", check=False)
    assert refused.returncode != 0
    assert "protected" in refused.stdout
