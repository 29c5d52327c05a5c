# Recipes for a cluster: `just cluster=path/to/cluster.yaml up`. They are the programs' own commands, nothing more.

# The description of the cluster.
cluster := env("ICHOR_CLUSTER", "cluster.yaml")

# Where the kubeconfig goes: beside the cluster file.
kubeconfig := parent_directory(absolute_path(cluster)) / "kubeconfig"

# Programs built here are found without installing them.
export PATH := env("PATH") + ":" + justfile_directory() / "target/release" + ":" + justfile_directory() / "target/release/links"

# Shows the recipes.
default:
    @just --justfile {{ quote(justfile()) }} --list

# From the description to Ready nodes. Run it again after anything. FLAGS are those of talos-wait, the last step.
[no-cd]
up *FLAGS:
    talos-image -f {{ quote(cluster) }} | pve-vm | talos-gen | talos-apply | talos-bootstrap | kubeconfig-export --to {{ quote(kubeconfig) }} | talos-wait --for ready {{ FLAGS }}

# The same without a first contact: new nodes get their configs from discs. The file names a storage for them (`seeds`).
[no-cd]
seeded *FLAGS:
    talos-image -f {{ quote(cluster) }} | pve-vm --stopped | talos-gen | talos-seed | talos-apply | talos-bootstrap | kubeconfig-export --to {{ quote(kubeconfig) }} | talos-wait --for ready {{ FLAGS }}

# What `up` would do; changes nothing. Exit status 3 means that there is something to do.
[no-cd]
plan:
    talos-image -f {{ quote(cluster) }} --dry-run | pve-vm | talos-gen | talos-apply | talos-bootstrap | kubeconfig-export --to {{ quote(kubeconfig) }} | talos-wait --for ready

# Fetches the kubeconfig once more.
[no-cd]
kubeconfig:
    kubeconfig-export -f {{ quote(cluster) }} --to {{ quote(kubeconfig) }}

# Removes the cluster's VMs, also of nodes that left the file. `just down --yes` does not ask.
[no-cd]
down *ARGS:
    pve-vm destroy -f {{ quote(cluster) }} {{ ARGS }}

# Runs the whole pipe on the lab: no hypervisor needed.
demo:
    scripts/demo

# Runs all tests.
test *ARGS:
    scripts/test {{ ARGS }}

# Lets every call to Proxmox VE go wrong in every way, and goes on where it was stopped. SEED decides the order.
soak SEED="1":
    ICHOR_SOAK={{ SEED }} cargo test --locked -p e2e --test matrix -- --nocapture

# Measures start-up, throughput, memory and the whole pipe.
bench:
    cargo build --release --locked --workspace --bins
    cargo bench --locked -p e2e --bench table
    cargo bench --locked -p talos-gen --bench configs

# Gives broken texts to the loader, patches and merges until you stop it; prints a seed that fails.
fuzz:
    cargo test --release --locked -p config-rules --test properties -- --ignored --nocapture without_end

# What must pass before anything lands, without the tests.
lint:
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items -q
    if command -v cargo-deny > /dev/null; then cargo deny --offline check bans licenses sources; fi
