package main

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/resource/meta"
	"github.com/cosi-project/runtime/pkg/resource/protobuf"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"go.yaml.in/yaml/v4"
)

// specs compares the two forms in which a node sends each of its specs: protobuf, read by Talos's own types, must
// come out as the YAML.
func specs(ctx context.Context, c *client.Client) error {
	types, err := safe.StateListAll[*meta.ResourceDefinition](ctx, c.COSI)
	if err != nil {
		return err
	}

	var (
		wrong []string
		count int
	)

	for item := range types.All() {
		kind := item.TypedSpec()
		// Talos sends nothing of these but YAML.
		if kind.Type == network.DNSUpstreamType {
			continue
		}

		list, err := c.COSI.List(
			ctx, resource.NewMetadata(kind.DefaultNamespace, kind.Type, "", resource.VersionUndefined),
			state.WithListUnmarshalOptions(state.WithSkipProtobufUnmarshal()),
		)
		if err != nil {
			return fmt.Errorf("%s: %w", kind.Type, err)
		}

		for _, sent := range list.Items {
			if err := spec(sent); err != nil {
				wrong = append(wrong, fmt.Sprintf("%s %s: %s", kind.Type, sent.Metadata().ID(), err))
			}

			count++
		}
	}

	if len(wrong) > 0 {
		return fmt.Errorf("%d of %d specs differ:\n%s", len(wrong), count, strings.Join(wrong, "\n"))
	}

	fmt.Printf("specs: %d resources\n", count)

	return nil
}

// spec compares the two forms of one spec.
func spec(sent resource.Resource) error {
	raw, ok := sent.(*protobuf.Resource)
	if !ok {
		return fmt.Errorf("unexpectedly a %T", sent)
	}

	read, err := protobuf.UnmarshalResource(raw)
	if err != nil {
		return err
	}

	if _, ok := read.(*protobuf.Resource); ok {
		return fmt.Errorf("Talos has no type for it")
	}

	got, err := tree(raw.Spec())
	if err != nil {
		return fmt.Errorf("as YAML: %w", err)
	}

	want, err := tree(read.Spec())
	if err != nil {
		return fmt.Errorf("as protobuf: %w", err)
	}

	if !reflect.DeepEqual(got, want) {
		return differs(got, want)
	}

	return nil
}

// differs names the fields that differ, and shows none of them: some are secrets.
func differs(got, want any) error {
	here, ok := got.(map[string]any)
	there, fine := want.(map[string]any)

	if !ok || !fine {
		return fmt.Errorf("one is a %T, the other a %T", got, want)
	}

	names := map[string]struct{}{}

	for name, value := range here {
		if other, ok := there[name]; !ok || !reflect.DeepEqual(value, other) {
			names[name] = struct{}{}
		}
	}

	for name := range there {
		if _, ok := here[name]; !ok {
			names[name] = struct{}{}
		}
	}

	return fmt.Errorf("different %s", strings.Join(slices.Sorted(maps.Keys(names)), ", "))
}

// tree is a spec as any reader of YAML would see it.
func tree(spec any) (any, error) {
	text, err := yaml.Marshal(spec)
	if err != nil {
		return nil, err
	}

	var value any

	return value, yaml.Unmarshal(text, &value)
}
