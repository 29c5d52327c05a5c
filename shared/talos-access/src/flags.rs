//! talosctl's flags.

use std::path::PathBuf;

use talos_client::Fingerprint;

/// The flags with which a tool works without a stream, as they are typed.
pub const ALONE: &[&str] = &["-n", "--nodes", "-e", "--endpoints"];

/// Which nodes to contact without a stream, and with which credentials; the names are talosctl's.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Alone, without a stream")]
pub struct TalosFlags {
    /// Addresses of the nodes, which are contacted directly.
    #[arg(short, long, value_name = "ADDRESS,...", value_delimiter = ',')]
    pub nodes: Vec<String>,

    /// Addresses of control planes; used as the nodes if --nodes is not set.
    #[arg(short, long, value_name = "ADDRESS,...", value_delimiter = ',')]
    pub endpoints: Vec<String>,

    /// File with the credentials [default: $TALOSCONFIG, else ~/.talos/config].
    #[arg(long, value_name = "FILE")]
    pub talosconfig: Option<PathBuf>,

    /// Context of the talosconfig [default: the cluster's name, else the current one].
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

impl TalosFlags {
    /// Whether they ask for working without a stream.
    pub fn is_alone(&self) -> bool {
        !self.nodes.is_empty() || !self.endpoints.is_empty()
    }

    /// The file with the credentials: the flag, else the first of talosctl's usual places that exists.
    pub fn talosconfig_file(&self) -> Option<PathBuf> {
        self.talosconfig.clone().or_else(|| usual_places().into_iter().find(|place| place.exists()))
    }
}

/// Where talosctl looks, in its order.
fn usual_places() -> Vec<PathBuf> {
    let variable = |name| step::variable(name).map(PathBuf::from);
    let home = variable("TALOS_HOME").or_else(|| std::env::home_dir().map(|home| home.join(".talos")));
    let mut places: Vec<PathBuf> = variable("TALOSCONFIG").into_iter().collect();
    places.extend(home.map(|home| home.join("config")));
    places.push(PathBuf::from("/var/run/secrets/talos.dev/config"));
    places
}

/// How to talk to a node that has no configuration yet.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Alone, without a stream")]
pub struct InsecureFlags {
    /// Connect without credentials, to nodes in maintenance mode.
    #[arg(short, long)]
    pub insecure: bool,

    /// Certificate fingerprints to accept from nodes in maintenance mode, as printed on their consoles.
    #[arg(long = "cert-fingerprint", value_name = "FINGERPRINT,...", value_delimiter = ',')]
    pub cert_fingerprints: Vec<Fingerprint>,
}
