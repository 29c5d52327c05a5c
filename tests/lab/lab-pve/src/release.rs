//! Releases of Proxmox VE, as far as behaviour depends on them.

/// A release of Proxmox VE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// 8.4: `VM.Monitor`, HA groups, tags kept as they were given at creation.
    V8_4,
    /// 9.2: `VM.GuestAgent.*`, HA rules, tags normalised at creation.
    V9_2,
}

/// Options and parameters that 8.4 does not know, with a part of the paths of the calls that take them.
const SINCE_9: &[(&str, &str)] = &[
    ("/qemu", "allow-ksm"),
    ("/qemu", "ha-managed"),
    ("/qemu", "intel-tdx"),
    ("/qemu/", "with-conntrack-state"),
    ("/capabilities/", "arch"),
    ("/ha/resources", "failback"),
    ("/ha/resources", "purge"),
    ("/token/", "delete"),
    ("/token/", "regenerate"),
];
/// Parameters that 9.x does not know any more, likewise.
const UNTIL_8: &[(&str, &str)] = &[("/vzdump", "notification-policy"), ("/vzdump", "notification-target")];
/// Calls that 8.4 does not know, by the begin of their paths.
const CALLS_SINCE_9: &[&str] = &["/cluster/ha/rules", "/access/vncticket"];

impl Release {
    /// `9.2.11`.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::V8_4 => "8.4.21",
            Self::V9_2 => "9.2.11",
        }
    }

    /// `9.2`.
    pub(crate) fn short(self) -> &'static str {
        match self {
            Self::V8_4 => "8.4",
            Self::V9_2 => "9.2",
        }
    }

    /// The commit that the release was built from, as `/version` shows it.
    pub(crate) fn repository(self) -> &'static str {
        match self {
            Self::V8_4 => "4f6f9b2e",
            Self::V9_2 => "14a22df3",
        }
    }

    /// Version of the emulator.
    pub(crate) fn qemu(self) -> &'static str {
        match self {
            Self::V8_4 => "9.2.0",
            Self::V9_2 => "10.1.2",
        }
    }

    /// The refusal of a path that is no volume.
    pub(crate) fn paths_are_for_root(self) -> String {
        let line = if self >= Self::V9_2 { 651 } else { 581 };
        format!("Only root can pass arbitrary filesystem paths. at /usr/share/perl5/PVE/Storage.pm line {line}.")
    }

    /// Whether the release knows a call.
    pub(crate) fn serves(self, path: &str) -> bool {
        self >= Self::V9_2 || !CALLS_SINCE_9.iter().any(|start| path.starts_with(start))
    }

    /// Whether the release knows a parameter of a call.
    pub(crate) fn knows(self, path: &str, parameter: &str) -> bool {
        let strange = if self >= Self::V9_2 { UNTIL_8 } else { SINCE_9 };
        !strange.iter().any(|(part, name)| *name == parameter && path.contains(part))
    }

    /// Whether tags are lower-cased, sorted and freed of duplicates when a VM is created (from 9.1.17).
    pub(crate) fn normalises_new_tags(self) -> bool {
        self >= Self::V9_2
    }

    /// The privileges of which asking the guest agent takes one.
    pub(crate) fn agent_privileges(self) -> &'static [&'static str] {
        match self {
            Self::V8_4 => &["VM.Monitor"],
            Self::V9_2 => &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"],
        }
    }

    /// The text for a parameter that needs another one.
    pub(crate) fn lacks(self, needed_by: &str) -> String {
        match self {
            Self::V8_4 => format!("missing property - '{needed_by}' requires this property"),
            Self::V9_2 => format!("missing property required by '{needed_by}'"),
        }
    }
}

impl std::str::FromStr for Release {
    type Err = String;

    /// Reads `9.2` or `8.4`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "8.4" => Ok(Self::V8_4),
            "9.2" => Ok(Self::V9_2),
            _ => Err(format!("the lab plays Proxmox VE 9.2 and 8.4, not {text}")),
        }
    }
}
