//go:build actionlint

// Package actionlint pins the checker of workflows; go.mod names the versions, go.sum their hashes. The build tag
// keeps this file out of builds; it is here for `go mod tidy`.
package actionlint

import _ "github.com/rhysd/actionlint/cmd/actionlint"
