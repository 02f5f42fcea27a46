"""The stand-in plugin pulumi-resource-random."""

from tools.localcloud.plugins.random.password import RANDOM_PASSWORD
from tools.localcloud.plugins.serve import Plugin

PLUGIN = Plugin(
    name="random",
    version="4.21.4",
    check_config=lambda news: (news, []),
    configure=lambda _: None,
    default_tags=lambda _: {},
    region=lambda _: None,
    resources={RANDOM_PASSWORD.token: RANDOM_PASSWORD},
    functions={},
)
