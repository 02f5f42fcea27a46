//go:build tools

// Package kubernetes pins the API server and etcd, which `make test-operators` builds.
package kubernetes

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
)
