//! Command-line arguments.

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, ValueEnum};

use crate::flag_values::{List, list, switch};

/// Command-line arguments; the summary above them comes from the table of steps.
// A repeated flag overrides, as with talosctl.
#[derive(Debug, Parser)]
#[command(args_override_self = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) stream: step::StreamFlags,

    #[command(flatten)]
    pub(crate) inline: step::InlineFlag,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Commands without a stream, with talosctl's flags.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Generate a secrets bundle.
    Secrets(Secrets),
    /// Generate machine configs and a talosconfig.
    Config(Box<Config>),
    /// Generate client credentials for the Talos API, with chosen roles and lifetime.
    Talosconfig(Credentials),
    /// Apply patches to a machine config, and write it in the format of its Talos version.
    Patch(Patch),
    /// Validate a machine config with Talos's rules.
    Validate(Validate),
    /// Show the differences between two machine configs; exit status 3 if there are any.
    Diff(Diff),
    /// Describe a kind of document or one of its fields.
    Explain(Explain),
}

/// `talos-gen secrets`.
#[derive(Debug, Group)]
pub(crate) struct Secrets {
    /// File to write; `-` is stdout.
    #[arg(short, long, default_value = "secrets.yaml", value_name = "FILE")]
    pub(crate) output_file: String,
    /// Talos version that the secrets are for, as in v1.13.
    #[arg(long, value_name = "VERSION")]
    pub(crate) talos_version: Option<String>,
    /// Extract the secrets from a control plane's machine config.
    #[arg(long, value_name = "FILE", conflicts_with = "from_kubernetes_pki")]
    pub(crate) from_controlplane_config: Option<PathBuf>,
    /// Use the keys of an existing Kubernetes cluster: a folder with ca, etcd/ca, front-proxy-ca and sa.key.
    #[arg(short = 'p', long, value_name = "FOLDER")]
    pub(crate) from_kubernetes_pki: Option<PathBuf>,
    /// File with the bootstrap token of that cluster; `-` is stdin [default: a new one].
    #[arg(short = 't', long, value_name = "FILE", requires = "from_kubernetes_pki")]
    pub(crate) kubernetes_bootstrap_token: Option<String>,
    /// Overwrite an existing file.
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// `talos-gen config`.
#[derive(Debug, Group)]
pub(crate) struct Config {
    /// Name of the cluster.
    pub(crate) name: String,
    /// URL of the Kubernetes API.
    pub(crate) endpoint: String,
    /// Disk to install to.
    #[arg(long, default_value = "/dev/sda", value_name = "DEVICE")]
    pub(crate) install_disk: String,
    /// Installer image [default: that of the Talos version].
    #[arg(long, value_name = "IMAGE")]
    pub(crate) install_image: Option<String>,
    /// Additional names and addresses for the certificates of the Talos and Kubernetes APIs.
    #[arg(long, value_name = "NAME,...", value_parser = list)]
    pub(crate) additional_sans: Vec<List>,
    /// DNS domain of the cluster.
    #[arg(long, default_value = "cluster.local", value_name = "DOMAIN")]
    pub(crate) dns_domain: String,
    /// Version of the machine config's format.
    #[arg(long, default_value = "v1alpha1", value_parser = ["v1alpha1"])]
    pub(crate) version: String,
    /// Talos version that the configs are for, as in v1.13.
    #[arg(long, value_name = "VERSION")]
    pub(crate) talos_version: Option<String>,
    /// Kubernetes version [default: that of the Talos version].
    #[arg(long, value_name = "VERSION")]
    pub(crate) kubernetes_version: Option<String>,
    /// Patch for all machines: a file, `@file`, or the patch itself.
    #[arg(short = 'p', long, value_name = "PATCH", allow_hyphen_values = true)]
    pub(crate) config_patch: Vec<String>,
    /// Patch for control planes.
    #[arg(long, value_name = "PATCH", allow_hyphen_values = true)]
    pub(crate) config_patch_control_plane: Vec<String>,
    /// Patch for workers.
    #[arg(long, value_name = "PATCH", allow_hyphen_values = true)]
    pub(crate) config_patch_worker: Vec<String>,
    /// Mirror of a registry, as in `docker.io=https://mirror.lan`.
    #[arg(long, value_name = "HOST=URL,...", value_parser = list)]
    pub(crate) registry_mirror: Vec<List>,
    /// Find members through the discovery service.
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch, action = clap::ArgAction::Set)]
    pub(crate) with_cluster_discovery: bool,
    /// Connect members through KubeSpan.
    #[arg(long, default_value_t = false, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch, action = clap::ArgAction::Set)]
    pub(crate) with_kubespan: bool,
    /// Secrets bundle to use [default: a new one, which isn't saved].
    #[arg(long, value_name = "FILE")]
    pub(crate) with_secrets: Option<PathBuf>,
    /// Accepted, with a warning: comments are never written.
    #[arg(long, default_value_t = false, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch, action = clap::ArgAction::Set)]
    pub(crate) with_docs: bool,
    /// Accepted, with a warning: comments are never written.
    #[arg(long, default_value_t = false, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch, action = clap::ArgAction::Set)]
    pub(crate) with_examples: bool,
    /// Which files to write.
    #[arg(short = 't', long, value_delimiter = ',', value_enum, default_value = "controlplane,worker,talosconfig")]
    pub(crate) output_types: Vec<Output>,
    /// Folder to write to; with one output type a file, or `-` for stdout.
    #[arg(short, long, default_value = "", hide_default_value = true, value_name = "PATH")]
    pub(crate) output: String,
    /// Folder to write to, also for one output type.
    #[arg(long, value_name = "FOLDER", conflicts_with = "output", hide = true)]
    pub(crate) output_dir: Option<String>,
    /// Overwrite existing files.
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// What `talos-gen config` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// The config of control planes.
    Controlplane,
    /// The config of workers.
    Worker,
    /// Client credentials for the Talos API.
    Talosconfig,
}

/// `talos-gen talosconfig`.
#[derive(Debug, Group)]
pub(crate) struct Credentials {
    /// Name of the cluster and of the context.
    pub(crate) name: String,
    /// Secrets bundle of the cluster; `-` is stdin.
    #[arg(long, default_value = "secrets.yaml", value_name = "FILE")]
    pub(crate) with_secrets: PathBuf,
    /// Roles of the client.
    #[arg(long, value_delimiter = ',', default_value = "os:admin", value_name = "ROLE,...")]
    pub(crate) role: Vec<String>,
    /// Lifetime of the credentials, as in 24h [default: 365 days].
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) ttl: Option<std::time::Duration>,
    /// Addresses of control planes: the endpoints of the context.
    #[arg(short, long, value_delimiter = ',', value_name = "ADDRESS,...")]
    pub(crate) endpoints: Vec<String>,
    /// File to write; `-` is stdout.
    #[arg(short, long, default_value = "talosconfig", value_name = "FILE")]
    pub(crate) output: String,
    /// Overwrite an existing file.
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// `talos-gen explain`.
#[derive(Debug, Group)]
pub(crate) struct Explain {
    /// A kind, or one of its fields: HostnameConfig, LinkConfig.addresses, machine.network.
    #[arg(value_name = "KIND[.FIELD]")]
    pub(crate) path: String,
}

/// `talos-gen patch`.
#[derive(Debug, Group)]
pub(crate) struct Patch {
    /// Machine config; `-` is stdin.
    pub(crate) config: String,
    /// Patch: a file, `@file`, or the patch itself.
    #[arg(short, long, value_name = "PATCH", allow_hyphen_values = true)]
    pub(crate) patch: Vec<String>,
    /// File to write; `-` is stdout.
    #[arg(short, long, default_value = "-", value_name = "FILE")]
    pub(crate) output: String,
}

/// `talos-gen validate`.
#[derive(Debug, Group)]
pub(crate) struct Validate {
    /// Machine config; `-` is stdin.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: String,
    /// Platform that the machine runs on.
    #[arg(short, long, value_parser = ["metal", "cloud", "container", "metal-agent"])]
    pub(crate) mode: String,
    /// Treat warnings about the legacy document as errors.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Talos version whose rules apply, as in v1.13 [default: the newest stable one, or one that knows all documents].
    #[arg(long, value_name = "VERSION")]
    pub(crate) talos_version: Option<String>,
}

/// `talos-gen diff`.
#[derive(Debug, Group)]
pub(crate) struct Diff {
    /// Machine config; `-` is stdin.
    pub(crate) left: String,
    /// Machine config; `-` is stdin.
    pub(crate) right: String,
}
