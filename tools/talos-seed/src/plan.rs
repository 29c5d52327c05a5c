//! What to do with a VM. Pure.

use pve_access::seed::{Kept, Mark};
use pve_client::answer::Config;

/// What is known of a VM.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// Its config.
    pub(crate) config: &'a Config,
    pub(crate) is_running: bool,
    /// Whether `ichor.lock` knows that its node has a config.
    pub(crate) is_configured: bool,
    /// Where its disc is to be, with the digest of what is to be on it.
    pub(crate) wanted: &'a Kept,
    /// Whether a file of that size is there.
    pub(crate) is_there: bool,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// It runs, and has its config, or a disc with it: nothing.
    Leave,
    /// It runs, and nobody knows yet what it has: it is asked.
    Ask,
    /// It is off and has its config, or the right disc: it is started.
    Start,
    /// It gets a disc in this slot, which replaces what is there if that is Proxmox VE's own drive, and is started.
    Seed(Slot),
}

/// Where the disc goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) name: String,
    /// Whether Proxmox VE's own drive is there, which is given up first.
    pub(crate) replaces: bool,
    /// Whether the file has to be uploaded.
    pub(crate) uploads: bool,
}

/// What to do; `None` if no slot is free.
pub(crate) fn act(seen: Seen<'_>) -> Option<Act> {
    let mark = Mark::of(seen.config);
    let is_attached = mark.as_ref().is_some_and(|mark| mark.is_attached(seen.config) && holds(mark));
    // What was handed out and removed again did its work.
    let was_seeded = mark.as_ref().is_some_and(|mark| !holds(mark));
    let is_configured = seen.is_configured || was_seeded;
    if seen.is_running {
        return Some(if is_configured || is_attached { Act::Leave } else { Act::Ask });
    }
    if is_configured {
        return Some(Act::Start);
    }
    let is_same = mark.as_ref().and_then(|mark| mark.file.as_ref()) == Some(seen.wanted) && seen.is_there;
    if is_attached && is_same {
        return Some(Act::Start);
    }
    let own = mark.filter(|_| is_attached).map(|mark| mark.slot);
    let replaced = cloud_init(seen.config);
    let replaces = own.is_none() && replaced.is_some();
    let name = own.or_else(|| replaced.map(str::to_owned)).or_else(|| free(seen.config))?;
    Some(Act::Seed(Slot { name, replaces, uploads: !is_same }))
}

fn holds(mark: &Mark) -> bool {
    mark.file.as_ref().is_some_and(|file| !file.sha256.is_empty())
}

/// The slot of Proxmox VE's own drive.
fn cloud_init(config: &Config) -> Option<&str> {
    let is_one = |(name, value): &(&str, &str)| is_slot(name) && value.split(',').any(is_cloud_init);
    config.values().find(is_one).map(|(name, _)| name)
}

fn is_slot(name: &str) -> bool {
    let index = ["ide", "sata", "scsi"].iter().find_map(|bus| name.strip_prefix(bus));
    index.is_some_and(|index| index.parse::<u32>().is_ok())
}

/// Whether a part of a drive is Proxmox VE's volume for cloud-init: `local-lvm:vm-100-cloudinit`.
fn is_cloud_init(part: &str) -> bool {
    let part = part.strip_prefix("file=").unwrap_or(part);
    let Some((_, name)) = part.split_once(':') else { return false };
    let name = name.rsplit('/').next().unwrap_or(name);
    let name = name.split('.').next().unwrap_or(name);
    name == "cloudinit" || name.ends_with("-cloudinit")
}

/// A slot that is free, for a VM that has no such drive.
fn free(config: &Config) -> Option<String> {
    let slots = ["ide", "sata"].iter().flat_map(|bus| (0..4).map(move |index| format!("{bus}{index}")));
    slots.into_iter().find(|slot| config.get(slot).is_none() && config.running(slot).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOUD_INIT: (&str, &str) = ("ide0", "local-lvm:vm-100-cloudinit,media=cdrom,size=4M");

    fn wanted() -> Kept {
        Kept { host: "pve1".into(), volume: "seeds:iso/x.iso".into(), sha256: "ab".into() }
    }

    fn seed(slot: &str, uploads: bool, replaces: bool) -> Option<Act> {
        Some(Act::Seed(Slot { name: slot.into(), replaces, uploads }))
    }

    fn decide(pairs: &[(&str, &str)], is_running: bool, is_configured: bool, is_there: bool) -> Option<Act> {
        let (config, wanted) = (pairs.iter().copied().collect(), wanted());
        act(Seen { config: &config, is_running, is_configured, wanted: &wanted, is_there })
    }

    #[test]
    fn a_new_vm_gets_its_disc_in_the_place_of_proxmoxs_drive_or_in_a_free_slot() {
        assert_eq!(decide(&[CLOUD_INIT], false, false, false), seed("ide0", true, true));
        let file = ("ide0", "local:100/vm-100-cloudinit.qcow2,media=cdrom");
        assert_eq!(decide(&[file], false, false, false), seed("ide0", true, true));
        assert_eq!(decide(&[("ide0", "none,media=cdrom")], false, false, false), seed("ide1", true, false));
        let taken: Vec<(String, &str)> =
            ["ide", "sata"].iter().flat_map(|bus| (0..4).map(move |index| (format!("{bus}{index}"), "x:y"))).collect();
        let taken: Vec<(&str, &str)> = taken.iter().map(|(slot, value)| (slot.as_str(), *value)).collect();
        assert_eq!(decide(&taken, false, false, false), None);
    }

    #[test]
    fn a_disc_that_is_in_place_is_not_uploaded_again_and_one_for_another_config_is() {
        let notes = |sha256: &str| format!("ichor-seed: ide0 pve1 seeds:iso/x.iso {sha256}");
        let attached = ("ide0", "seeds:iso/x.iso,media=cdrom");
        let (same, other) = (notes("ab"), notes("cd"));
        assert_eq!(decide(&[attached, ("description", &same)], false, false, true), Some(Act::Start));
        assert_eq!(decide(&[attached, ("description", &same)], false, false, false), seed("ide0", true, false));
        assert_eq!(decide(&[attached, ("description", &other)], false, false, true), seed("ide0", true, false));
        // Somebody took it out; it is there, and only goes back in.
        assert_eq!(decide(&[("description", &same)], false, false, true), seed("ide0", false, false));
        // The drive came back meanwhile.
        assert_eq!(decide(&[CLOUD_INIT, ("description", &same)], false, false, true), seed("ide0", false, true));
    }

    #[test]
    fn a_vm_that_has_a_config_gets_none() {
        assert_eq!(decide(&[CLOUD_INIT], false, true, false), Some(Act::Start));
        assert_eq!(decide(&[CLOUD_INIT], true, true, false), Some(Act::Leave));
        for notes in ["ichor-seed: ide0", "ichor-seed: ide0 pve1 seeds:iso/x.iso empty"] {
            let config = [("ide0", "none,media=cdrom"), ("description", notes)];
            assert_eq!(decide(&config, false, false, true), Some(Act::Start), "{notes}");
            assert_eq!(decide(&config, true, false, true), Some(Act::Leave), "{notes}");
        }
    }

    #[test]
    fn a_vm_that_runs_is_never_given_a_disc() {
        assert_eq!(decide(&[CLOUD_INIT], true, false, false), Some(Act::Ask));
        let attached =
            [("ide0", "seeds:iso/x.iso,media=cdrom"), ("description", "ichor-seed: ide0 pve1 seeds:iso/x.iso cd")];
        assert_eq!(decide(&attached, true, false, true), Some(Act::Leave));
    }
}
