//! talosctl's flags.

use std::path::PathBuf;

use record::{Code, Exit, Failure};
use step::{StreamFlags, exclusive};
use talos_client::Fingerprint;

use crate::Credentials;

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

    /// Context of the talosconfig [default: the cluster's name, else the current one; with -n the current one].
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

impl TalosFlags {
    /// Whether they ask for working without a stream.
    pub fn is_alone(&self) -> bool {
        !self.nodes.is_empty() || !self.endpoints.is_empty()
    }

    /// Refuses flags that would be ignored: a file beside the flags that name nodes, and a talosconfig for a stream.
    ///
    /// # Errors
    /// Wrong usage; it names both, or what the flag needs.
    pub fn check(&self, stream: &StreamFlags) -> Result<(), Failure> {
        self.check_but_dir(stream)?;
        self.check_dir(stream)
    }

    /// The same for a tool that uses the folder without a cluster, too.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn check_but_dir(&self, stream: &StreamFlags) -> Result<(), Failure> {
        exclusive(&[(self.alone_flag(), self.is_alone()), ("-f", stream.file.is_some())])?;
        if self.talosconfig.is_some() && !self.is_alone() {
            let failure = Failure::new(Exit::Usage, Code::Usage, "--talosconfig needs -n");
            return Err(failure.hint("in the pipe, the credentials come with the records"));
        }
        Ok(())
    }

    /// Refuses a cluster's folder where there is no cluster.
    ///
    /// # Errors
    /// Wrong usage; it names both flags.
    pub fn check_dir(&self, stream: &StreamFlags) -> Result<(), Failure> {
        exclusive(&[(self.alone_flag(), self.is_alone()), ("--dir", stream.dir.is_some())])
    }

    fn alone_flag(&self) -> &'static str {
        if self.nodes.is_empty() { "-e" } else { "-n" }
    }

    /// The credentials that the flags choose. `needed` if nothing can be done without.
    ///
    /// # Errors
    /// Without a stream: they are needed, and there is no talosconfig.
    pub fn credentials(&self, needed: bool) -> Result<Credentials, Failure> {
        if needed && self.is_alone() && self.talosconfig_file().is_none() {
            let places: Vec<_> = usual_places().iter().map(|place| place.display().to_string()).collect();
            let message = format!("there is no talosconfig: looked for {}", places.join(", "));
            let failure = Failure::new(Exit::Usage, Code::Usage, message);
            return Err(failure.hint("name one with --talosconfig, or in TALOSCONFIG; talos-gen writes it"));
        }
        // Alone, the current context, whatever it is called: the name of the cluster in the records is only made from it.
        let current = self.is_alone().then(String::new);
        Ok(Credentials::of_context(self.context.clone().or(current)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Typed {
        #[command(flatten)]
        stream: StreamFlags,
        #[command(flatten)]
        talos: TalosFlags,
    }

    fn checked(words: &[&str]) -> Result<(), String> {
        let Typed { stream, talos } = clap::Parser::parse_from([&["tool"], words].concat());
        talos.check(&stream).map_err(|failure| {
            assert_eq!(failure.exit, Exit::Usage);
            failure.message
        })
    }

    #[test]
    fn a_flag_that_would_be_ignored_is_refused_by_its_name() {
        for words in [&["-n", "10.0.0.1", "--talosconfig", "x"][..], &["-f", "x", "--dir", "y", "--context", "z"]] {
            assert_eq!(checked(words), Ok(()), "{words:?}");
        }
        for (words, says) in [
            (&["-n", "10.0.0.1", "-f", "x"][..], "-n and -f can't be used together"),
            (&["-e", "10.0.0.1", "-f", "x"], "-e and -f can't be used together"),
            (&["-n", "10.0.0.1", "--dir", "x"], "-n and --dir can't be used together"),
            (&["-f", "x", "--talosconfig", "y"], "--talosconfig needs -n"),
        ] {
            assert_eq!(checked(words), Err(says.to_owned()), "{words:?}");
        }
    }
}
