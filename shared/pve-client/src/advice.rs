//! What to do about a refusal.

use crate::{FailedTask, Kind, Refusal, rights};

/// What to do about a call that was refused; `call` is its method and path.
pub(crate) fn of(refusal: &Refusal, call: &str) -> Option<String> {
    match refusal.kind {
        Kind::Unauthorized => {
            Some("the token may be mistyped, expired or removed; `pveum user token list USER@REALM` shows them".into())
        }
        Kind::Forbidden if refusal.message.contains("only root can") => Some(
            "only root@pam itself may set this, no API token: remove it from the file, and set it on the host".into(),
        ),
        Kind::Forbidden => {
            let (path, privileges) = missing(refusal, call)?;
            Some(forbidden(&refusal.token, &path, &privileges))
        }
        Kind::Locked => refusal.lock().map(locked),
        Kind::Protected => Some("switch the VM's protection off first".into()),
        Kind::NotFound if refusal.message.contains("(pool '") => {
            let pool = refusal.message.split('\'').nth(1).unwrap_or("NAME");
            Some(format!("correct `pool` in the file, or on a host: `pveum pool add {pool}`"))
        }
        Kind::NoQuorum => Some(NO_QUORUM.into()),
        Kind::Unfit => unfit(&refusal.message),
        _ => None,
    }
}

/// What to do about a task that failed: its own advice, else the end of its log without the error itself.
pub(crate) fn of_task(task: &FailedTask) -> Option<String> {
    if task.upid.kind() == "download" && task.refusal.kind == Kind::Busy {
        let host = task.upid.node();
        return Some(format!("the hosts fetch the image themselves: check that {host} reaches the URL"));
    }
    if let Some(advice) = of(&task.refusal, "") {
        return Some(advice);
    }
    let said = |line: &&String| !line.contains(&task.refusal.message) && !line.starts_with("TASK ERROR");
    let log: Vec<&str> = task.log.iter().filter(said).map(String::as_str).collect();
    (!log.is_empty()).then(|| format!("the task's log ends with: {}", log.join(" | ")))
}

/// What to do without quorum.
pub(crate) const NO_QUORUM: &str =
    "too few hosts of Proxmox VE are connected: switch the others on, or see `pvecm status` on a host";

/// The path and the privileges that are missing. Some calls name neither.
fn missing(refusal: &Refusal, call: &str) -> Option<(String, String)> {
    if let Some((path, privileges)) = refusal.privilege() {
        // A VM that is about to be made has no path of its own yet.
        let path = if path.starts_with("/vms/") { "/vms" } else { path };
        return Some((path.into(), privileges.replace('|', " or ")));
    }
    let host = call.split('/').nth(2).unwrap_or_default();
    match call.rsplit('/').next()? {
        "qemu" if call.starts_with("POST") => Some(("/vms".into(), "VM.Allocate".into())),
        "download-url" => Some((format!("/nodes/{host}"), "Sys.AccessNetwork".into())),
        _ => None,
    }
}

fn forbidden(token: &str, path: &str, privileges: &str) -> String {
    let token = if token.is_empty() { "USER@REALM!TOKENID" } else { token };
    // The role has one privilege for the guest agent, whose name depends on the release.
    let mut role: Vec<&str> = rights::NEEDED.to_vec();
    role.push(rights::USEFUL);
    role.extend(privileges.split(" or ").next().filter(|privilege| !role.contains(privilege)));
    format!("{privileges} is missing on {path}: {}", rights::commands(token, path, &role))
}

fn locked(lock: &str) -> String {
    match lock {
        "create" => {
            "a creation is under way, or was cut off; `qm unlock VMID` on the host lifts a lock left over".into()
        }
        "backup" => "a backup is under way; run again when it has ended".into(),
        "suspended" => "the VM's memory is saved on disk: `qm resume VMID` on the host continues it".into(),
        other => format!("an operation ({other}) is under way; run again when it has ended"),
    }
}

fn unfit(message: &str) -> Option<String> {
    if message.contains("vcpus allowed") {
        return Some(
            "sockets times cores must not exceed the CPUs of the host: set fewer cores, or another host".into(),
        );
    }
    message
        .contains("bridge '")
        .then(|| "create the bridge on that host, or name another one in `bridge` or net0".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Upid;

    fn refused(text: &str) -> Refusal {
        Refusal { token: "talos@pve!cli".into(), ..Refusal::new(403, text, Vec::new()) }
    }

    #[test]
    fn a_missing_privilege_is_told_with_commands_for_this_token() {
        let hint = of(&refused("Permission check failed (/vms/101, VM.Config.CPU)"), "POST /nodes/pve1/qemu").unwrap();
        assert!(hint.starts_with("VM.Config.CPU is missing on /vms: "), "{hint}");
        assert!(hint.contains("pveum acl modify /vms --users talos@pve --tokens 'talos@pve!cli'"), "{hint}");
    }

    #[test]
    fn a_privilege_that_the_server_does_not_name_is_known_by_the_call() {
        let hint = |call| of(&refused("Permission check failed"), call).unwrap_or_default();
        assert!(hint("POST /nodes/pve1/qemu").starts_with("VM.Allocate is missing on /vms: "));
        let download = "POST /nodes/pve1/storage/local/download-url";
        assert!(hint(download).starts_with("Sys.AccessNetwork is missing on /nodes/pve1: "), "{}", hint(download));
        let pool =
            of(&refused("Permission check failed (pool 'tallos' does not exist)"), "POST /nodes/pve1/qemu").unwrap();
        assert!(pool.contains("`pveum pool add tallos`"), "{pool}");
        let startup = of(&refused("Permission check failed (/, Sys.Modify)"), "").unwrap();
        assert!(startup.starts_with("Sys.Modify is missing on /: ") && startup.contains(" Sys.Modify\""), "{startup}");
    }

    #[test]
    fn the_log_of_a_failed_task_does_not_repeat_its_error() {
        let upid = |kind: &str| {
            Upid::parse(&format!("UPID:pve1:000073B7:0002752E:6B044D6D:{kind}:100:talos@pve!cli:")).unwrap()
        };
        let task = |kind: &str, error: &str, log: &[&str]| FailedTask {
            upid: upid(kind),
            refusal: Refusal::of_task(error),
            log: log.iter().map(|line| (*line).to_owned()).collect(),
        };
        assert_eq!(of_task(&task("qmstart", "it broke", &["TASK ERROR: it broke"])), None);
        let log = ["formatting", "TASK ERROR: it broke"];
        assert_eq!(of_task(&task("qmcreate", "it broke", &log)).unwrap(), "the task's log ends with: formatting");
        let error = "download failed: Connecting to 127.0.0.1:1... failed: Connection refused.";
        assert!(of_task(&task("download", error, &[])).unwrap().contains("check that pve1 reaches"));
    }
}
