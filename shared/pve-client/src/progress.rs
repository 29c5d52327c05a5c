//! How far a task is, by its log.

use std::time::Duration;

use crate::{Client, Error, Upid, request};

/// How far a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Percent of it, 0 to 100.
    pub percent: u8,
    /// How much of how much, or how fast, in the words of the log.
    pub detail: Option<String>,
}

impl Progress {
    /// Reads a line of a log: of the program that downloads (`32768K ........ ........ 15% 38.5M 12s`), or of the one that
    /// copies disks (`transferred 1.2 GiB of 20.0 GiB (6.00%)`). Other lines say nothing of it.
    pub fn parse(line: &str) -> Option<Self> {
        copied(line).or_else(|| downloaded(line))
    }
}

fn copied(line: &str) -> Option<Progress> {
    let (_, rest) = line.split_once("transferred ")?;
    let (detail, rest) = rest.split_once(" (")?;
    let percent = percent(rest.split_once('%')?.0)?;
    detail.contains(" of ").then(|| Progress { percent, detail: Some(detail.to_owned()) })
}

fn downloaded(line: &str) -> Option<Progress> {
    let (received, rest) = line.trim_start().split_once("K ")?;
    let is_number = !received.is_empty() && received.bytes().all(|byte| byte.is_ascii_digit());
    let (dots, rest) = rest.split_once('%')?;
    let (dots, number) = dots.rsplit_once(' ')?;
    let is_dots = dots.bytes().all(|byte| matches!(byte, b'.' | b' ' | b','));
    let percent = percent(number)?;
    let speed = rest.split([' ', '=']).find(|word| !word.is_empty()).map(|speed| format!("{speed}B/s"));
    (is_number && is_dots).then_some(Progress { percent, detail: speed })
}

fn percent(text: &str) -> Option<u8> {
    let whole = text.split('.').next()?.trim();
    whole.parse::<u8>().ok().filter(|percent| *percent <= 100)
}

impl Client {
    /// Waits for a task to end, as [`Self::finish`] does. While it runs its log is read every so often, and `saw` gets how
    /// far it is, where the log says so.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub async fn watch(
        &self,
        upid: &Upid,
        limit: Duration,
        every: Duration,
        saw: impl Fn(Progress),
    ) -> Result<(), Error> {
        let follow = async {
            let mut read = 0;
            loop {
                tokio::time::sleep(every).await;
                // What the log says is only shown: that it can't be read now is no failure of the task.
                let Ok(lines) = self.ask(&request::task_log_from(upid, read)).await else { continue };
                read += lines.len();
                lines.iter().rev().find_map(|line| Progress::parse(&line.t)).into_iter().for_each(&saw);
            }
        };
        tokio::select! {
            biased;
            ended = self.finish(upid, limit) => ended,
            () = follow => unreachable!("it reads the log until the task has ended"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_that_tell_how_far_it_is_are_read_and_no_others() {
        for (line, percent, detail) in [
            ("     0K ........                           100% 24.4M=0.3s", 100, Some("24.4MB/s")),
            (" 32768K ........ ........ ........ ........  15% 38.5M 12s", 15, Some("38.5MB/s")),
            ("163840K ........ ........ ......", 0, None),
            ("transferred 0.0 B of 528.0 KiB (0.00%)", 0, Some("0.0 B of 528.0 KiB")),
            ("transferred 1.2 GiB of 20.0 GiB (6.17%)", 6, Some("1.2 GiB of 20.0 GiB")),
            ("drive-scsi0: transferred 1.2 GiB of 20.0 GiB (6.17%) in 3s", 6, Some("1.2 GiB of 20.0 GiB")),
        ] {
            let found = Progress::parse(line);
            let wanted = detail.map(|detail| Progress { percent, detail: Some(detail.to_owned()) });
            assert_eq!(found, wanted, "{line}");
        }
        for line in [
            "",
            "Length: 8716288 (8.3M) [application/octet-stream]",
            "scsi0: successfully created disk 'local-lvm:vm-100-disk-1,size=20G'",
            "  Logical volume \"vm-100-disk-0\" created.",
            "2026-11-30 02:14:20 (24.4 MB/s) - 'x' saved [8716288/8716288]",
            "OK 100%",
            "transferred everything (100%)",
        ] {
            assert_eq!(Progress::parse(line), None, "{line}");
        }
    }
}
