//go:build engine

// Package engine pins the Pulumi command-line program and everything it is built from: go.mod names the
// versions, go.sum their hashes. The build tag keeps this file out of builds; it is here for `go mod tidy`,
// which would drop a requirement that nothing imports.
package engine

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
