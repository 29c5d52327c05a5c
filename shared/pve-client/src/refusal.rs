//! Refusals, told apart by status and text: the API has no codes and no 404.

use std::fmt;

/// What a refusal means for the one who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// No token, a wrong one, or one of nobody.
    Unauthorized,
    /// A privilege is missing.
    Forbidden,
    /// A parameter is wrong.
    Invalid,
    /// What was named isn't there; rights that are missing can look the same.
    NotFound,
    /// The VM ID, or the file, is there already.
    Exists,
    /// A volume that a task wanted to allocate is there already: somebody's leftover.
    VolumeExists,
    /// The VM runs, and must not.
    Running,
    /// The VM doesn't run, and must.
    Stopped,
    /// Somebody else is at work on the VM: a backup, a migration, a creation.
    Locked,
    /// The VM's protection flag is set.
    Protected,
    /// The config was changed in between.
    Changed,
    /// The guest agent doesn't answer, or the VM has none.
    NoAgent,
    /// The VM can't be started on this host as it is: too many cores, a bridge that is missing.
    Unfit,
    /// Too few hosts are connected to change anything.
    NoQuorum,
    /// Nothing is wrong but the moment: a lock or a host didn't answer in time. The call may have had effect.
    Busy,
    /// This server knows no such call.
    Unsupported,
    /// Anything else.
    Other,
}

/// The text that a server or a task gave instead of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status; 0 when the text is a task's.
    pub status: u16,
    /// What it means.
    pub kind: Kind,
    /// The server's own words.
    pub message: String,
    /// What is wrong with which parameter.
    pub parameters: Vec<(String, String)>,
    /// The token that was refused: `USER@REALM!TOKENID`; empty where it isn't known.
    pub token: String,
}

/// The guest that has a VM ID, in the server's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// `VM` or `container`.
    pub kind: &'static str,
    /// Its ID.
    pub vmid: u32,
    /// The host that it is on, if the server says so.
    pub host: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.vmid)?;
        self.host.iter().try_for_each(|host| write!(f, " on {host}"))
    }
}

impl Refusal {
    /// Classifies a reply by its status, message and map of errors.
    pub fn new(status: u16, message: &str, parameters: Vec<(String, String)>) -> Self {
        let message = message.trim().to_owned();
        let kind = kind(status, &message, &parameters);
        Self { status, kind, message, parameters, token: String::new() }
    }

    /// Classifies the last words of a task.
    pub fn of_task(message: &str) -> Self {
        Self::new(0, message, Vec::new())
    }

    /// The path and the privileges that are missing, when the server says so: (`/vms/100`, `VM.Audit`).
    pub fn privilege(&self) -> Option<(&str, &str)> {
        let (_, rest) = self.message.split_once("Permission check failed (")?;
        let (path, privileges) = rest.split_once(')')?.0.split_once(',')?;
        Some((path.trim(), privileges.trim())).filter(|(path, _)| path.starts_with('/'))
    }

    /// Who has the VM ID that was asked for. The host in it is where that guest is, not where the VM was to be made.
    pub fn holder(&self) -> Option<Holder> {
        holder(&self.message)
    }

    /// The lock that is on the VM: `backup`, `create`, …
    pub fn lock(&self) -> Option<&str> {
        self.message.split_once("VM is locked (")?.1.split(')').next()
    }

    /// Whether the VM itself isn't there: it was destroyed, or is on another host.
    pub fn is_no_vm(&self) -> bool {
        self.message.contains(".conf' does not exist") || self.message.contains("no such VM")
    }

    /// The volume that is in the way, as the server names it: a path, or the name of a volume.
    pub fn volume(&self) -> Option<&str> {
        let name = |quote: char| self.message.split(quote).find(|part| part.contains("vm-") && !part.contains(' '));
        name('\'').or_else(|| name('"'))
    }
}

fn holder(message: &str) -> Option<Holder> {
    let (before, after) = message.split_once(" already exists")?;
    let mut words = before.rsplit(' ');
    let vmid = words.next()?.parse().ok()?;
    let kind = match words.next()? {
        "VM" => "VM",
        "CT" => "container",
        _ => return None,
    };
    let host = after.split_once("on node '").and_then(|(_, rest)| rest.split('\'').next()).map(str::to_owned);
    Some(Holder { kind, vmid, host })
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let empty = self.message.is_empty();
        if empty {
            write!(f, "status {}", self.status)?;
        } else if self.parameters.is_empty() {
            f.write_str(&self.message)?;
        }
        for (index, (name, text)) in self.parameters.iter().enumerate() {
            let gap = if index == 0 && !empty { "" } else { "; " };
            write!(f, "{gap}{name}: {}", text.trim())?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

/// Texts of status 500 and of tasks, and what they mean. They are the same from 8.4 to 9.2; the first that is found
/// counts, so a lock that wasn't got in time comes before the VM that it was for.
const TEXTS: [(&str, Kind); 38] = [
    ("- got timeout", Kind::Busy),
    ("got lock request timeout", Kind::Busy),
    ("got no worker upid", Kind::Busy),
    ("cluster not ready - no quorum", Kind::NoQuorum),
    ("vcpus allowed per VM on this node", Kind::Unfit),
    ("Permission check failed", Kind::Forbidden),
    ("only root can set", Kind::Forbidden),
    ("checksum mismatch (file change by other user?)", Kind::Changed),
    ("detected modified configuration", Kind::Changed),
    ("VM is locked", Kind::Locked),
    ("protection mode enabled", Kind::Protected),
    ("is running - destroy failed", Kind::Running),
    ("already running", Kind::Running),
    ("already exists", Kind::Exists),
    ("already defined", Kind::Exists),
    ("refusing to override existing file", Kind::Exists),
    ("QEMU guest agent is not running", Kind::NoAgent),
    ("No QEMU guest agent configured", Kind::NoAgent),
    ("is not running", Kind::Stopped),
    (" not running", Kind::Stopped),
    (".conf' does not exist", Kind::NotFound),
    ("is too old to run machine type", Kind::Unfit),
    ("does not exist", Kind::NotFound),
    ("no such cluster node", Kind::NotFound),
    ("hostname lookup '", Kind::NotFound),
    ("no such resource", Kind::NotFound),
    ("no such task", Kind::NotFound),
    ("no such VM", Kind::NotFound),
    ("not HA managed", Kind::NotFound),
    ("is not available on node", Kind::NotFound),
    // Of wget, which fetches for the server.
    ("ERROR 429", Kind::Busy),
    ("ERROR 500", Kind::Busy),
    ("ERROR 502", Kind::Busy),
    ("ERROR 503", Kind::Busy),
    ("ERROR 504", Kind::Busy),
    ("Connection timed out", Kind::Busy),
    ("Connection refused", Kind::Busy),
    ("Network is unreachable", Kind::Busy),
];

fn kind(status: u16, message: &str, parameters: &[(String, String)]) -> Kind {
    let by_text = || TEXTS.iter().find(|(text, _)| message.contains(text)).map_or(Kind::Other, |(_, kind)| *kind);
    // Without quorum the cluster's files can't be written, which reads like a lack of rights.
    if message.contains("/etc/pve/") && message.contains("Permission denied") {
        return Kind::NoQuorum;
    }
    if message.contains("bridge '") && message.contains("' does not exist") {
        return Kind::Unfit;
    }
    if status == 0 && message.contains("already exists") && holder(message).is_none() {
        return Kind::VolumeExists;
    }
    match status {
        401 => Kind::Unauthorized,
        // Who asks for rights on a pool that isn't there has none.
        403 if message.contains("(pool '") && message.contains("' does not exist)") => Kind::NotFound,
        403 => Kind::Forbidden,
        400 if parameters.iter().any(|(_, text)| text.contains("already exists")) => Kind::Exists,
        400 if parameters.iter().any(|(_, text)| text.contains("no such task")) => Kind::NotFound,
        400 => Kind::Invalid,
        501 => Kind::Unsupported,
        429 | 502..=504 | 595..=599 => Kind::Busy,
        _ => by_text(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(status: u16, message: &str) -> Kind {
        Refusal::new(status, message, Vec::new()).kind
    }

    #[test]
    fn refusals_of_status_500_are_told_apart_by_their_text() {
        for (text, kind) in [
            ("Configuration file 'nodes/pve1/qemu-server/210.conf' does not exist", Kind::NotFound),
            ("unable to create VM 100 - VM 100 already exists on node 'pve1'", Kind::Exists),
            ("VM is locked (create)", Kind::Locked),
            ("VM 200 is running - destroy failed", Kind::Running),
            ("VM 200 not running", Kind::Stopped),
            ("can't remove VM 200 - protection mode enabled", Kind::Protected),
            ("checksum mismatch (file change by other user?)", Kind::Changed),
            ("can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout", Kind::Busy),
            ("got no worker upid - start worker failed", Kind::Busy),
            ("storage 'x' does not exist", Kind::NotFound),
            ("only root can set 'args' config", Kind::Forbidden),
            ("QEMU guest agent is not running", Kind::NoAgent),
            ("MAX 2 vcpus allowed per VM on this node", Kind::Unfit),
            ("bridge 'vmbr9' does not exist", Kind::Unfit),
            ("cluster not ready - no quorum?", Kind::NoQuorum),
            ("resource ID 'vm:100' already defined", Kind::Exists),
            ("no such resource 'vm:100'", Kind::NotFound),
            ("cannot delete service 'vm:100', not HA managed!", Kind::NotFound),
            (
                "update HA rules failed: error during cfs-locked 'domain-ha' operation: detected modified configuration - file changed by other user? Try again.",
                Kind::Changed,
            ),
            ("something new", Kind::Other),
        ] {
            assert_eq!(kind_of(500, text), kind, "{text}");
        }
    }

    #[test]
    fn a_failed_task_is_classified_by_its_last_words() {
        let lock = "unable to create VM 5 - can't lock file '/var/lock/pve-manager/pve-storage-local' - got timeout";
        let fetched = |status: &str| Refusal::of_task(&format!("download failed: ERROR {status}.")).kind;
        assert_eq!(fetched("500: Internal Server Error"), Kind::Busy);
        assert_eq!(fetched("429: Too Many Requests"), Kind::Busy);
        assert_ne!(fetched("404: Not Found"), Kind::Busy);
        assert_eq!(Refusal::of_task(lock).kind, Kind::Busy);
        let denied = "unable to create VM 700 - 403 Permission check failed (/vms/700, VM.Config.Options)\n";
        assert_eq!(Refusal::of_task(denied).kind, Kind::Forbidden);
    }

    #[test]
    fn without_quorum_nothing_is_written_and_that_is_no_lack_of_rights() {
        let text = "unable to open file '/etc/pve/nodes/pve1/qemu-server/103.conf.tmp.22497' - Permission denied";
        assert_eq!(Refusal::of_task(text).kind, Kind::NoQuorum);
    }

    #[test]
    fn a_leftover_volume_is_no_vm_id_that_is_taken() {
        let file =
            "unable to create VM 158 - disk image '/var/lib/vz/images/158/vm-158-cloudinit.qcow2' already exists";
        let refusal = Refusal::of_task(file);
        assert_eq!((refusal.kind, refusal.holder()), (Kind::VolumeExists, None));
        assert_eq!(refusal.volume(), Some("/var/lib/vz/images/158/vm-158-cloudinit.qcow2"));
        let taken = Refusal::new(500, "unable to create VM 150 - CT 150 already exists on node 'pve1'", Vec::new());
        let holder = taken.holder().unwrap();
        assert_eq!((taken.kind, holder.to_string().as_str()), (Kind::Exists, "container 150 on pve1"));
    }

    #[test]
    fn statuses_of_the_proxy_mean_try_again() {
        for status in [502, 503, 504, 595, 596, 599] {
            assert_eq!(kind_of(status, ""), Kind::Busy);
        }
        assert_eq!(kind_of(401, "No ticket"), Kind::Unauthorized);
        assert_eq!(kind_of(501, "Method 'GET /nope' not implemented"), Kind::Unsupported);
    }

    #[test]
    fn the_missing_privilege_is_named() {
        let refusal = Refusal::new(403, "Permission check failed (/vms/100, VM.Audit|VM.Monitor)\n", Vec::new());
        assert_eq!(refusal.privilege(), Some(("/vms/100", "VM.Audit|VM.Monitor")));
        assert_eq!(Refusal::new(403, "Permission check failed", Vec::new()).privilege(), None);
        assert_eq!(kind_of(403, "Permission check failed"), Kind::Forbidden);
        assert_eq!(kind_of(403, "Permission check failed (pool 'x' does not exist)"), Kind::NotFound);
    }

    #[test]
    fn wrong_parameters_are_listed_in_place_of_the_headline() {
        let errors = vec![("memory".into(), "too small\n".into()), ("foo".into(), "not defined".into())];
        let refusal = Refusal::new(400, "Parameter verification failed.\n", errors);
        assert_eq!(refusal.to_string(), "memory: too small; foo: not defined");
        assert_eq!(Refusal::new(595, "", Vec::new()).to_string(), "status 595");
    }
}
