//! Work that takes long and says how far it is.

use std::time::Duration;

use record::Node;
use tokio::time::Instant;

use crate::Run;
use crate::wait::Entry;

/// Work that takes long; it is over when this is dropped. Meanwhile the line that reports waits every 10 s says how far it
/// is.
#[must_use]
pub struct Progress<'a> {
    entry: Entry<'a>,
    what: String,
    begun: Instant,
}

impl Run {
    /// Work on a node, or on the cluster, begins that says how far it is: `uploading x.qcow2 to pve1`.
    pub fn progress(&self, node: Option<&Node>, what: impl Into<String>) -> Progress<'_> {
        let (what, begun) = (what.into(), Instant::now());
        let entry = self.context.waits.begin(node.map(Node::name), None, begun);
        entry.note(&what);
        Progress { entry, what, begun }
    }
}

impl Progress<'_> {
    /// So many bytes were moved, of how many if that is known.
    pub fn bytes(&self, moved: u64, whole: Option<u64>) {
        let amount = amount(moved, whole, self.begun.elapsed());
        self.entry.note(&format!("{}: {amount}", self.what));
    }

    /// So many percent are done; in the words of the one who does it, how much of how much, or how fast.
    pub fn percent(&self, percent: u8, detail: Option<&str>) {
        let detail = detail.map(|detail| format!(", {detail}")).unwrap_or_default();
        self.entry.note(&format!("{}: {percent}%{detail}", self.what));
    }
}

/// How many bytes of how many, and how fast: `45.2 MiB of 190.0 MiB (23%), 12.3 MiB/s`.
fn amount(moved: u64, whole: Option<u64>, time: Duration) -> String {
    let whole = match whole.filter(|whole| *whole > 0) {
        Some(whole) => format!(" of {} ({}%)", size(whole), moved.saturating_mul(100) / whole),
        None => String::new(),
    };
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    format!("{}{whole}, {}/s", size(moved), size(moved.saturating_mul(1000) / millis))
}

/// Bytes for people: `45.2 MiB`.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moved_bytes_are_told_with_how_many_there_are_and_how_fast() {
        let seconds = Duration::from_secs;
        for (moved, whole, time, expected) in [
            (45 << 20, Some(190 << 20), seconds(9), "45.0 MiB of 190.0 MiB (23%), 5.0 MiB/s"),
            (3 << 29, Some(2 << 30), seconds(1), "1.5 GiB of 2.0 GiB (75%), 1.5 GiB/s"),
            (700, None, seconds(1), "700 B, 700 B/s"),
            (0, Some(0), Duration::ZERO, "0 B, 0 B/s"),
        ] {
            assert_eq!(amount(moved, whole, time), expected);
        }
    }
}
