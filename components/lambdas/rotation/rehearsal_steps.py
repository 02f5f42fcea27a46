"""The steps that a rehearsal reports about, and what their failure means."""

DESCRIBE = "describe"
READ = "read"
CREATE, SET, TEST, FINISH = "createSecret", "setSecret", "testSecret", "finishSecret"
RECREATE = "recreate"
SCHEMAS = "schemas"

CONSEQUENCES = {
    DESCRIBE: "The next rotation does not start, or changes nothing. AWSCURRENT stays as it is.",
    READ: "The next rotation fails in createSecret, before it changes anything. AWSCURRENT stays as it is.",
    CREATE: "The next rotation fails in createSecret, before it changes anything. AWSCURRENT stays as it is.",
    SET: "The next rotation fails in setSecret and is tried again. AWSCURRENT stays as it is.",
    TEST: "AWSCURRENT does not work as a workload uses it: now, not only at the next rotation.",
    FINISH: "The next rotation sets the new value, cannot make it current, fails in finishSecret and is "
    "tried again; with a single user of PostgreSQL, AWSCURRENT has a password that no longer works by then.",
    RECREATE: "A rotation succeeds while both users exist, but cannot create one again that somebody drops.",
    SCHEMAS: "A rotation succeeds, but workloads cannot use what the stack file declares.",
}
"""Step to what happens at the next rotation, in sentences."""
