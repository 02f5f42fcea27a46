//go:build tools

// Package tools pins Pulumi's YAML language host, which `make test-languages` builds.
package tools

import _ "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml"
