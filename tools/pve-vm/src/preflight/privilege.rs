//! Which privileges a parameter of a VM takes, by the table and by its value.

use pve_client::property::Property;

use crate::parameters::{Kind, find};

/// The path of the mapping that a parameter uses; using one takes `Mapping.Use` there.
pub(super) fn of_mapping(name: &str, value: &str) -> Option<String> {
    let value = Property::parse(value);
    let kind = find(name)?.privileges.mapping?;
    let mapping = match kind {
        // The host's own generator has no name; the others of the parameter are nobody's.
        "hwrng" => {
            let source = value.get("source").or(value.bare())?;
            return (source == "/dev/hwrng").then(|| "/mapping/hwrng".to_owned());
        }
        "dir" => value.get("dirid").or(value.bare())?,
        _ => value.get("mapping")?,
    };
    Some(format!("/mapping/{kind}/{mapping}"))
}

/// The privileges on the VM that setting a parameter to this value takes; of two that are joined by `|` either is enough.
/// `exists` is whether the VM does: a creation asks less of drives.
pub(crate) fn of_parameter(name: &str, value: &str, exists: bool) -> Vec<&'static str> {
    let Some(parameter) = find(name) else { return Vec::new() };
    match parameter.kind {
        Kind::Drive => of_drive(name, value, exists),
        _ => Some(parameter.privileges.vm).filter(|privilege| !privilege.is_empty()).into_iter().collect(),
    }
}

/// Of an existing VM, Proxmox VE looks at what a drive is, on every bus (seen on 9.2); a drive for cloud-init comes with the
/// settings of a creation.
fn of_drive(name: &str, value: &str, exists: bool) -> Vec<&'static str> {
    match (exists, is_cd(name, value)) {
        _ if is_cloud_init(value) && exists => vec!["VM.Config.Cloudinit", "VM.Config.CDROM"],
        (true, true) => vec!["VM.Config.CDROM"],
        (false, true) if !is_cloud_init(value) => vec!["VM.Config.CDROM|VM.Config.Disk"],
        _ => vec!["VM.Config.Disk"],
    }
}

/// Whether a drive has a CD, or the settings of cloud-init in the place of one.
pub(crate) fn is_cd(name: &str, value: &str) -> bool {
    let drive = Property::parse(value);
    name == "cdrom" || drive.get("media") == Some("cdrom") || is_cloud_init(value)
}

fn is_cloud_init(value: &str) -> bool {
    let drive = Property::parse(value);
    let file = drive.get("file").or(drive.bare()).unwrap_or_default();
    let name = file.rsplit([':', '/']).next().unwrap_or_default();
    let name = name.split('.').next().unwrap_or_default();
    file.contains(':') && (name == "cloudinit" || (name.starts_with("vm-") && name.ends_with("-cloudinit")))
}

/// The privileges on `/` that setting a parameter takes.
pub(super) fn on_cluster(name: &str) -> &'static [&'static str] {
    find(name).map_or(&[], |parameter| parameter.privileges.cluster)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_takes_its_own_privilege() {
        for (name, privilege) in [
            ("cores", "VM.Config.CPU"),
            ("numa0", "VM.Config.CPU"),
            ("memory", "VM.Config.Memory"),
            ("machine", "VM.Config.HWType"),
            ("smbios1", "VM.Config.HWType"),
            ("serial0", "VM.Config.HWType"),
            ("scsi1", "VM.Config.Disk"),
            ("efidisk0", "VM.Config.Disk"),
            ("boot", "VM.Config.Disk"),
            ("net12", "VM.Config.Network"),
            ("ipconfig0", "VM.Config.Cloudinit|VM.Config.Network"),
            ("description", "VM.Config.Options"),
            ("name", "VM.Config.Options"),
            ("agent", "VM.Config.Options"),
        ] {
            assert_eq!(of_parameter(name, "x", true), [privilege], "{name}");
        }
        assert_eq!(of_parameter("pool", "talos", true), [""; 0]);
        assert_eq!((on_cluster("startup"), on_cluster("cores")), (&["Sys.Modify"][..], &[][..]));
        assert_eq!(on_cluster("ha"), ["Sys.Audit", "Sys.Console"]);
        assert_eq!(of_mapping("hostpci3", "mapping=gpu,pcie=1").as_deref(), Some("/mapping/pci/gpu"));
        assert_eq!(of_mapping("usb0", "spice"), None);
        assert_eq!(of_mapping("rng0", "/dev/hwrng,max_bytes=1024").as_deref(), Some("/mapping/hwrng"));
        assert_eq!(of_mapping("rng0", "source=/dev/urandom"), None);
        assert_eq!(of_mapping("virtiofs0", "data,cache=always").as_deref(), Some("/mapping/dir/data"));
    }

    #[test]
    fn a_drive_takes_what_it_is_and_more_of_a_vm_that_exists() {
        const DISK: &[&str] = &["VM.Config.Disk"];
        const BOTH: &[&str] = &["VM.Config.Cloudinit", "VM.Config.CDROM"];
        for (name, value, existing, new) in [
            ("scsi1", "local-lvm:5,ssd=1", DISK, DISK),
            ("ide0", "local-lvm:cloudinit,media=cdrom", BOTH, DISK),
            ("sata1", "local:101/vm-101-cloudinit.qcow2,media=cdrom", BOTH, DISK),
            ("scsi3", "file=local-lvm:vm-101-cloudinit", BOTH, DISK),
            ("ide2", "none,media=cdrom", &["VM.Config.CDROM"], &["VM.Config.CDROM|VM.Config.Disk"]),
            ("cdrom", "local:iso/talos.iso", &["VM.Config.CDROM"], &["VM.Config.CDROM|VM.Config.Disk"]),
            ("scsi2", "local:iso/cloudinit-notes.iso", DISK, DISK),
        ] {
            assert_eq!(of_parameter(name, value, true), existing, "{name}: {value}");
            assert_eq!(of_parameter(name, value, false), new, "{name}: {value}");
        }
    }
}
