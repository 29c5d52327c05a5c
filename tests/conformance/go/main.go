// The judge looks at a lab with Talos's own client, and at machine configs with Talos's own loader and validator.
//
// It is run by the tests of the crate `conformance`:
//
//	judge configs FILE...              loads and validates machine configs
//	judge expressions FILE             says of each row, an environment and an expression, whether it compiles
//	judge node TALOSCONFIG ADDRESS     makes calls on a control plane and judges the answers
//	judge specs TALOSCONFIG ADDRESS    compares each spec of a node as protobuf with the same as YAML
//	judge reboot TALOSCONFIG ADDRESS   reboots a node and follows it through its events
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/client"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	switch {
	case len(args) > 1 && args[0] == "configs":
		return configs(args[1:])
	case len(args) == 2 && args[0] == "expressions":
		return expressions(args[1])
	case len(args) == 3 && (args[0] == "node" || args[0] == "specs" || args[0] == "reboot"):
		c, err := client.New(ctx, client.WithConfigFromFile(args[1]), client.WithEndpoints(args[2]))
		if err != nil {
			return err
		}

		defer c.Close() //nolint:errcheck

		switch args[0] {
		case "reboot":
			return reboot(client.WithNode(ctx, args[2]), c)
		case "specs":
			return specs(client.WithNode(ctx, args[2]), c)
		}

		if err := definitions(client.WithNode(ctx, args[2]), c); err != nil {
			return err
		}

		if err := specs(client.WithNode(ctx, args[2]), c); err != nil {
			return err
		}

		return node(ctx, c, args[2])
	default:
		return fmt.Errorf("usage: judge configs FILE... | expressions FILE | node|specs|reboot TALOSCONFIG ADDRESS")
	}
}
