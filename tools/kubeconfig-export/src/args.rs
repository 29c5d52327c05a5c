//! Command-line arguments.

use std::path::PathBuf;

use talos_access::TalosFlags;

/// Command-line arguments; the summary above them comes from the table of steps.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) stream: step::StreamFlags,

    #[command(flatten)]
    pub(crate) wait: step::WaitFlag,

    #[command(flatten)]
    pub(crate) raw: step::RawFlag,

    #[command(flatten)]
    pub(crate) inline: step::InlineFlag,

    #[command(flatten)]
    pub(crate) talos: TalosFlags,

    /// File to write [default: kubeconfig in the cluster's folder; with --merge $KUBECONFIG, else ~/.kube/config].
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,

    /// Merge into the file instead of replacing it; as it was, it stays in FILE.before-ichor if comments are lost.
    #[arg(short, long)]
    pub(crate) merge: bool,

    /// Overwrite a file or entries that belong to another cluster; as it was, the file stays in FILE.before-ichor.
    #[arg(long)]
    pub(crate) force: bool,

    /// Name of the context.
    #[arg(long, value_name = "NAME")]
    pub(crate) force_context_name: Option<String>,

    /// URL of the Kubernetes API to write [default: the cluster's endpoint].
    #[arg(long, value_name = "URL", value_parser = url)]
    pub(crate) server: Option<String>,
}

/// A URL of the Kubernetes API.
fn url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    match host.is_some_and(|host| !host.is_empty() && !host.starts_with(':')) && !text.contains(char::is_whitespace) {
        true => Ok(text.to_owned()),
        false => Err("not a URL (write it as https://10.0.0.10:6443)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_url() {
        for good in ["https://10.0.0.10:6443", "https://[::1]:6443/k8s", "http://api"] {
            assert_eq!(url(good), Ok(good.to_owned()));
        }
        for bad in ["notaurl", "10.0.0.10:6443", "https://", "https://:6443", "ftp://api", "https://a b"] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }
}
