package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/api/common"
	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/emptypb"
)

// check is a call and what must come of it.
type check struct {
	name string
	run  func(ctx context.Context, c *client.Client) error
}

// node makes calls the way talosctl makes them: alone, for one node, and for several.
func node(ctx context.Context, c *client.Client, address string) error {
	checks := []check{
		{"version", version},
		{"several nodes", several(address)},
		{"members", members},
		{"machine status", machineStatus},
		{"watch", watch},
		{"services", services},
		{"bootstrap", bootstrap},
		{"kubeconfig", kubeconfig},
		{"logs", stream("booting", func(ctx context.Context, c *client.Client) (machineapi.MachineService_LogsClient, error) {
			return c.Logs(ctx, "system", common.ContainerDriver_CONTAINERD, "machined", false, -1)
		})},
		{"dmesg", stream("[talos]", func(ctx context.Context, c *client.Client) (machineapi.MachineService_LogsClient, error) {
			return c.Dmesg(ctx, false, false)
		})},
		{"etcd members", etcdMembers},
		{"etcd snapshot", snapshot},
		{"dry run", dryRun},
		{"statistics", statistics},
	}

	for _, check := range checks {
		if err := check.run(client.WithNode(ctx, address), c); err != nil {
			return fmt.Errorf("%s: %w", check.name, err)
		}
	}

	fmt.Printf("node: %d checks\n", len(checks))

	return nil
}

func version(ctx context.Context, c *client.Client) error {
	reply, err := c.Version(ctx)
	if err != nil {
		return err
	}

	if tag := reply.Messages[0].Version.Tag; !strings.HasPrefix(tag, "v1.") || !reply.Messages[0].Features.Rbac {
		return fmt.Errorf("unexpected version: %s", reply)
	}

	return nil
}

// several asks a node that is there and one that is not: the one answers, the other is an error of its own.
func several(address string) func(context.Context, *client.Client) error {
	return func(ctx context.Context, c *client.Client) error {
		reply, err := c.Version(client.WithNodes(ctx, address, "127.255.255.1"))
		if err == nil {
			return errors.New("a node that is not there has answered")
		}

		if len(reply.Messages) != 1 || reply.Messages[0].Metadata.Hostname != address {
			return fmt.Errorf("unexpected replies: %s", reply)
		}

		return nil
	}
}

func members(ctx context.Context, c *client.Client) error {
	list, err := safe.StateListAll[*cluster.Member](ctx, c.COSI)
	if err != nil {
		return err
	}

	for member := range list.All() {
		spec := member.TypedSpec()
		if len(spec.Addresses) == 0 || spec.OperatingSystem == "" || spec.NodeID == "" {
			return fmt.Errorf("incomplete member: %v", spec)
		}
	}

	if list.Len() == 0 {
		return errors.New("no members")
	}

	return nil
}

func machineStatus(ctx context.Context, c *client.Client) error {
	status, err := safe.StateGetByID[*runtime.MachineStatus](ctx, c.COSI, runtime.MachineStatusID)
	if err != nil {
		return err
	}

	if spec := status.TypedSpec(); spec.Stage != runtime.MachineStageRunning || !spec.Status.Ready {
		return fmt.Errorf("not running and ready: %v", spec)
	}

	_, err = c.COSI.Get(ctx, resource.NewMetadata("runtime", "Nonsense.talos.dev", "x", resource.VersionUndefined))
	if client.StatusCode(err) != codes.PermissionDenied {
		return fmt.Errorf("an unknown type was not refused: %v", err)
	}

	_, err = safe.StateGetByID[*runtime.MachineStatus](ctx, c.COSI, "nobody")
	if !state.IsNotFoundError(err) {
		return fmt.Errorf("an unknown ID was found: %v", err)
	}

	return nil
}

func watch(ctx context.Context, c *client.Client) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	events := make(chan state.Event)

	err := c.COSI.WatchKind(ctx, cluster.NewMember(cluster.NamespaceName, "").Metadata(), events, state.WithBootstrapContents(true))
	if err != nil {
		return err
	}

	for {
		switch event := <-events; event.Type {
		case state.Created:
		case state.Bootstrapped:
			return nil
		default:
			return fmt.Errorf("unexpected event: %s %v", event.Type, event.Error)
		}
	}
}

func services(ctx context.Context, c *client.Client) error {
	infos, err := c.ServiceInfo(ctx, "etcd")
	if err != nil {
		return err
	}

	if len(infos) != 1 || infos[0].Service.State != "Running" || !infos[0].Service.Health.Healthy {
		return fmt.Errorf("etcd is not healthy: %v", infos)
	}

	_, err = c.ServiceRestart(ctx, "apid")
	if client.StatusCode(err) != codes.Unknown {
		return fmt.Errorf("apid may be restarted: %v", err)
	}

	_, err = c.ServiceRestart(ctx, "kubelet")

	return err
}

func bootstrap(ctx context.Context, c *client.Client) error {
	err := c.Bootstrap(ctx, &machineapi.BootstrapRequest{})
	if client.StatusCode(err) != codes.AlreadyExists {
		return fmt.Errorf("a second bootstrap: %v", err)
	}

	return nil
}

func kubeconfig(ctx context.Context, c *client.Client) error {
	data, err := c.Kubeconfig(ctx)
	if err != nil {
		return err
	}

	if !strings.Contains(string(data), "client-certificate-data") {
		return fmt.Errorf("no kubeconfig: %s", data)
	}

	return nil
}

// stream reads to the end and looks for a text.
func stream(text string, open func(context.Context, *client.Client) (machineapi.MachineService_LogsClient, error)) func(context.Context, *client.Client) error {
	return func(ctx context.Context, c *client.Client) error {
		stream, err := open(ctx, c)
		if err != nil {
			return err
		}

		reader, err := client.ReadStream(stream)
		if err != nil {
			return err
		}

		data, err := io.ReadAll(reader)
		if err != nil {
			return err
		}

		if !strings.Contains(string(data), text) {
			return fmt.Errorf("nothing about %q in %q", text, data)
		}

		return nil
	}
}

func etcdMembers(ctx context.Context, c *client.Client) error {
	reply, err := c.EtcdMemberList(ctx, &machineapi.EtcdMemberListRequest{})
	if err != nil {
		return err
	}

	if len(reply.Messages[0].Members) == 0 {
		return errors.New("no members of etcd")
	}

	status, err := c.EtcdStatus(ctx)
	if err != nil {
		return err
	}

	if status.Messages[0].MemberStatus.Leader == 0 {
		return errors.New("no leader of etcd")
	}

	alarms, err := c.EtcdAlarmList(ctx)
	if err != nil {
		return err
	}

	if len(alarms.Messages[0].MemberAlarms) != 0 {
		return fmt.Errorf("alarms: %s", alarms)
	}

	return nil
}

// snapshot wants what talosctl wants: whole pages, and a checksum behind them.
func snapshot(ctx context.Context, c *client.Client) error {
	reader, err := c.EtcdSnapshot(ctx, &machineapi.EtcdSnapshotRequest{})
	if err != nil {
		return err
	}

	data, err := io.ReadAll(reader)
	if err != nil {
		return err
	}

	if len(data)%512 != 32 {
		return fmt.Errorf("%d bytes hold no checksum", len(data))
	}

	return nil
}

func dryRun(ctx context.Context, c *client.Client) error {
	list, err := c.COSI.Get(ctx, resource.NewMetadata("config", "MachineConfigs.config.talos.dev", "v1alpha1", resource.VersionUndefined))
	if err != nil {
		return err
	}

	text, err := configText(list)
	if err != nil {
		return err
	}

	reply, err := c.ApplyConfiguration(ctx, &machineapi.ApplyConfigurationRequest{
		Data: text, Mode: machineapi.ApplyConfigurationRequest_AUTO, DryRun: true,
	})
	if err != nil {
		return err
	}

	if !strings.Contains(reply.Messages[0].ModeDetails, "No changes.") {
		return fmt.Errorf("the config that runs would change something: %s", reply)
	}

	return nil
}

// statistics is what the dashboard asks for again and again.
func statistics(ctx context.Context, c *client.Client) error {
	empty := &emptypb.Empty{}
	calls := map[string]func() error{
		"CPUInfo":            func() error { _, err := c.MachineClient.CPUInfo(ctx, empty); return err },
		"CPUFreqStats":       func() error { _, err := c.MachineClient.CPUFreqStats(ctx, empty); return err },
		"DiskStats":          func() error { _, err := c.MachineClient.DiskStats(ctx, empty); return err },
		"LoadAvg":            func() error { _, err := c.MachineClient.LoadAvg(ctx, empty); return err },
		"Memory":             func() error { _, err := c.MachineClient.Memory(ctx, empty); return err },
		"Mounts":             func() error { _, err := c.MachineClient.Mounts(ctx, empty); return err },
		"NetworkDeviceStats": func() error { _, err := c.MachineClient.NetworkDeviceStats(ctx, empty); return err },
		"Processes":          func() error { _, err := c.MachineClient.Processes(ctx, empty); return err },
		"SystemStat":         func() error { _, err := c.MachineClient.SystemStat(ctx, empty); return err },
	}

	for name, call := range calls {
		if err := call(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}

	return nil
}
