package main

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/cosi-project/runtime/pkg/resource/meta"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/resources/block"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/etcd"
	"github.com/siderolabs/talos/pkg/machinery/resources/hardware"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"github.com/siderolabs/talos/pkg/machinery/resources/siderolink"
	"github.com/siderolabs/talos/pkg/machinery/resources/time"
	"github.com/siderolabs/talos/pkg/machinery/resources/v1alpha1"
)

// known are the types of Talos that a lab may serve.
var known = []meta.ResourceDefinitionProvider{
	&block.Disk{}, &block.DiscoveredVolume{}, &block.SystemDisk{}, &block.VolumeStatus{}, &block.MountStatus{},
	&cluster.Info{}, &cluster.Member{}, &cluster.Identity{}, &cluster.Affiliate{},
	&config.MachineConfig{}, &config.MachineType{},
	&etcd.Member{}, &etcd.Spec{}, &etcd.Config{},
	&hardware.SystemInformation{}, &hardware.Processor{}, &hardware.MemoryModule{},
	&k8s.APIServerConfig{}, &k8s.BootstrapManifestsConfig{}, &k8s.ControllerManagerConfig{}, &k8s.SchedulerConfig{},
	&k8s.KubeletSpec{}, &k8s.KubeletConfig{}, &k8s.Nodename{}, &k8s.NodeStatus{}, &k8s.NodeIP{}, &k8s.StaticPod{},
	&k8s.StaticPodStatus{},
	&network.AddressStatus{}, &network.HostnameStatus{}, &network.LinkStatus{}, &network.NodeAddress{},
	&network.ResolverStatus{}, &network.RouteStatus{}, &network.Status{}, &network.TimeServerStatus{},
	&runtime.APIServiceConfig{}, &runtime.Diagnostic{}, &runtime.ExtensionStatus{}, &runtime.MachineStatus{},
	&runtime.MetaKey{}, &runtime.PlatformMetadata{}, &runtime.SecurityState{}, &runtime.Version{},
	&siderolink.Status{}, &time.Status{}, &v1alpha1.Service{},
}

// definitions compares what a node says of its types with what Talos's own module says of them.
func definitions(ctx context.Context, c *client.Client) error {
	upstream := map[string]meta.ResourceDefinitionSpec{}

	for _, provider := range known {
		spec := provider.ResourceDefinition()
		if err := spec.Fill(); err != nil {
			return err
		}

		upstream[spec.Type] = spec
	}

	list, err := safe.StateListAll[*meta.ResourceDefinition](ctx, c.COSI)
	if err != nil {
		return err
	}

	var wrong []string

	for item := range list.All() {
		spec := item.TypedSpec()

		want, ok := upstream[spec.Type]
		if !ok {
			if !strings.HasSuffix(spec.Type, ".meta.cosi.dev") {
				wrong = append(wrong, fmt.Sprintf("%s is served, but not compared", spec.Type))
			}

			continue
		}

		for _, pair := range []struct {
			what      string
			got, want any
		}{
			{"display type", spec.DisplayType, want.DisplayType},
			{"namespace", spec.DefaultNamespace, want.DefaultNamespace},
			{"aliases", spec.Aliases, want.Aliases},
			{"all aliases", spec.AllAliases, want.AllAliases},
			{"columns", spec.PrintColumns, want.PrintColumns},
			{"sensitivity", spec.Sensitivity, want.Sensitivity},
		} {
			if !reflect.DeepEqual(pair.got, pair.want) && fmt.Sprint(pair.got) != fmt.Sprint(pair.want) {
				wrong = append(wrong, fmt.Sprintf("%s: %s %q, but Talos has %q", spec.Type, pair.what, pair.got, pair.want))
			}
		}
	}

	if len(wrong) > 0 {
		return fmt.Errorf("%d differences:\n%s", len(wrong), strings.Join(wrong, "\n"))
	}

	fmt.Printf("definitions: %d types\n", list.Len())

	return nil
}
