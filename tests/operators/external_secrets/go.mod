// Pins the External Secrets Operator, which `make test-operators` builds: its own go.mod and go.sum, which the
// hash in this go.sum covers, pin everything that it is built from.
module tests/operators/external_secrets

go 1.24.2

require github.com/external-secrets/external-secrets v0.16.2
