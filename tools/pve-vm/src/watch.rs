//! Waiting for tasks that copy disks, and reporting how far they are.

use std::time::Duration;

use pve_client::{Client, Progress, Upid};
use record::Node;
use step::Run;

/// How often the log of such a task is read: short ones end before.
const LOOK: Duration = Duration::from_secs(5);

/// Waits for a creation to end; while it copies the image, the line that reports waits says how far it is.
pub(crate) async fn created(pve: &Client, run: &Run, node: &Node, upid: &Upid) -> Result<(), pve_client::Error> {
    let progress = run.progress(Some(node), format!("VM {} is being created on {}", upid.id(), upid.node()));
    let saw = |seen: Progress| progress.percent(seen.percent, seen.detail.as_deref());
    pve.watch(upid, run.wait_timeout(), LOOK, saw).await
}
