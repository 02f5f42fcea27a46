// Command nodejs_sdk generates a package's TypeScript SDK: nodejs_sdk LOADER FOLDER < schema.json
//
// The tests' language host for Node.js runs it for `pulumi package gen-sdk` (tests/languages/node_host.py).
// It is built from the engine's own modules, so both are of one version.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pulumi/pulumi/pkg/v3/codegen/nodejs"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

func main() {
	if err := generate(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// generate writes the SDK of the package whose schema is on the standard input.
func generate(loaderTarget, folder string) error {
	var spec schema.PackageSpec
	if err := json.NewDecoder(os.Stdin).Decode(&spec); err != nil {
		return fmt.Errorf("read the schema: %w", err)
	}
	client, err := schema.NewLoaderClient(loaderTarget)
	if err != nil {
		return fmt.Errorf("connect to the engine's loader: %w", err)
	}
	defer client.Close()
	loader := schema.NewCachedLoader(client)
	pkg, diagnostics, err := schema.BindSpec(spec, loader, schema.ValidationOptions{})
	if err != nil {
		return err
	}
	if diagnostics.HasErrors() {
		return diagnostics
	}
	files, err := nodejs.GeneratePackage("pulumi-language-nodejs", pkg, nil, nil, false, loader)
	if err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
