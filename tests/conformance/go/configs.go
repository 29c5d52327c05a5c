package main

import (
	"fmt"

	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
)

// disk is the mode of a machine that boots from a disk: everything is checked.
type disk struct{}

func (disk) String() string        { return "metal" }
func (disk) RequiresInstall() bool { return true }
func (disk) InContainer() bool     { return false }

// configs loads each config and validates it as a node would.
func configs(paths []string) error {
	for _, path := range paths {
		provider, err := configloader.NewFromFile(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}

		warnings, err := provider.Validate(disk{})
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}

		for _, warning := range warnings {
			fmt.Printf("%s: warning: %s\n", path, warning)
		}

		if _, err := provider.Bytes(); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}

	fmt.Printf("configs: %d\n", len(paths))

	return nil
}
