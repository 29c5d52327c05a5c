package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cosi-project/runtime/pkg/resource"
	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
)

func configText(res resource.Resource) ([]byte, error) {
	machineConfig, ok := res.(*config.MachineConfig)
	if !ok {
		return nil, fmt.Errorf("no machine config: %T", res)
	}

	return machineConfig.Provider().Bytes()
}

func bootID(ctx context.Context, c *client.Client) (string, error) {
	reader, err := c.Read(ctx, "/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}

	data, err := io.ReadAll(reader)

	return string(data), err
}

// reboot does what `talosctl reboot --wait` does: the identity of the boot must change, and the events must end in a
// machine that runs and is ready.
func reboot(ctx context.Context, c *client.Client) error {
	before, err := bootID(ctx, c)
	if err != nil {
		return err
	}

	if err := c.Reboot(ctx); err != nil {
		return err
	}

	for ctx.Err() == nil {
		if ready, err := untilReady(ctx, c); err != nil || !ready {
			time.Sleep(50 * time.Millisecond)

			continue
		}

		after, err := bootID(ctx, c)
		if err == nil && after != before {
			fmt.Println("reboot: another boot runs and is ready")

			return nil
		}
	}

	return errors.New("the node did not come back as another boot")
}

func untilReady(ctx context.Context, c *client.Client) (bool, error) {
	watch, cancel := context.WithCancel(ctx)
	defer cancel()

	ready := false

	err := c.EventsWatch(watch, func(events <-chan client.Event) {
		defer cancel()

		for event := range events {
			status, ok := event.Payload.(*machineapi.MachineStatusEvent)
			if ok && status.Stage == machineapi.MachineStatusEvent_RUNNING && status.Status.Ready {
				ready = true

				return
			}
		}
	}, client.WithTailEvents(-1))
	if ready {
		err = nil
	}

	return ready, err
}
