//! The factory's replies, read without any I/O.

use std::time::Duration;

use serde::Deserialize;

/// A refusal with the factory's own message: plain text, never JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", if message.is_empty() { format!("status {status}") } else { message.clone() })]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Its message; with status 500 it never contains the cause.
    pub message: String,
    /// The ID by which the factory's operator can find the cause.
    pub request_id: Option<String>,
    /// How long to wait before asking again, as it says.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self.status, 429 | 500 | 502..=504)
    }

    /// Whether the factory doesn't know the schematic; if it was asked too early, it repeats that answer for 30 s.
    pub fn is_unknown_schematic(&self) -> bool {
        self.status == 404 && self.message.contains("schematic")
    }

    /// What to do about it, where that is known.
    pub(crate) fn hint(&self) -> Option<String> {
        match self.status {
            402 => Some("this is a feature of the Enterprise factory only".into()),
            401 | 403 => Some("this factory wants to know who asks; schematics there belong to their owners".into()),
            404 if self.message.contains("is not available") => {
                Some("the factory's `/versions` lists what it makes".into())
            }
            500 => self.request_id.as_ref().map(|id| format!("look for request {id} in the factory's log")),
            _ => None,
        }
    }
}

/// An official system extension.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Extension {
    /// `siderolabs/qemu-guest-agent`.
    pub name: String,
    /// Image reference with the extension's own version.
    #[serde(default, rename = "ref")]
    pub reference: String,
    /// What it is.
    #[serde(default)]
    pub description: String,
}

/// Reply to a schematic; newer factories also send its canonical text.
#[derive(Debug, Deserialize)]
pub(crate) struct Registered {
    pub(crate) id: String,
}

/// Extensions that were renamed: the factory still accepts the old name, the lists have the new one.
const RENAMED: [(&str, &str); 11] = [
    ("v4l-uvc", "v4l-uvc-drivers"),
    ("usb-modem", "usb-modem-drivers"),
    ("gasket", "gasket-driver"),
    ("talos-vmtoolsd", "vmtoolsd-guest-agent"),
    ("xe-guest-utilities", "xen-guest-agent"),
    ("nvidia-container-toolkit", "nvidia-container-toolkit-lts"),
    ("nvidia-open-gpu-kernel-modules", "nvidia-open-gpu-kernel-modules-lts"),
    ("nonfree-kmod-nvidia", "nonfree-kmod-nvidia-lts"),
    ("nvidia-fabricmanager", "nvidia-fabric-manager-lts"),
    ("i915-ucode", "i915"),
    ("amdgpu-firmware", "amdgpu"),
];

/// The name that the lists of newer versions have for an extension, if it was renamed.
pub fn renamed(extension: &str) -> Option<String> {
    let (owner, name) = extension.split_once('/')?;
    let (_, new) = RENAMED.iter().find(|(old, _)| *old == name)?;
    Some(format!("{owner}/{new}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, message: &str) -> Refusal {
        Refusal { status, message: message.into(), request_id: Some("r-1".into()), retry_after: None }
    }

    #[test]
    fn only_a_factory_in_trouble_is_asked_again() {
        assert!(refusal(500, "internal server error").is_transient());
        assert!(refusal(503, "service temporarily unavailable").is_transient());
        for status in [400, 401, 402, 403, 404] {
            assert!(!refusal(status, "").is_transient());
        }
    }

    #[test]
    fn a_server_error_is_told_with_the_request_that_its_log_knows() {
        assert!(refusal(500, "internal server error").hint().unwrap().contains("r-1"));
        assert!(refusal(404, "schematic not found").is_unknown_schematic());
        assert_eq!(refusal(502, "").to_string(), "status 502");
    }

    #[test]
    fn renamed_extensions_have_a_new_name() {
        assert_eq!(renamed("siderolabs/i915-ucode").as_deref(), Some("siderolabs/i915"));
        assert_eq!(renamed("siderolabs/qemu-guest-agent"), None);
    }
}
