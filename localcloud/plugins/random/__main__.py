"""`python -m localcloud.plugins.random`: what the engine runs as pulumi-resource-random."""

from localcloud.plugins.random.password import RANDOM_PASSWORD
from localcloud.plugins.serve import Plugin, serve

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

if __name__ == "__main__":
    serve(PLUGIN)
