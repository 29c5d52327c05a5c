//! Which privileges a parameter of a VM takes, by the table and by its value.

use pve_client::property::Property;

use crate::parameters::find;

/// The path of the mapping that a parameter uses; using one takes `Mapping.Use` there.
pub(super) fn of_mapping(name: &str, value: &str) -> Option<String> {
    let value = Property::parse(value);
    let kind = find(name)?.privileges.mapping?;
    let mapping = match kind {
        "dir" => value.get("dirid").or(value.bare())?,
        _ => value.get("mapping")?,
    };
    Some(format!("/mapping/{kind}/{mapping}"))
}

/// The privilege on the VM that setting a parameter to this value takes; two of which either is enough are joined by `|`.
pub(crate) fn of_parameter(name: &str, value: &str) -> Option<&'static str> {
    // A drive for cloud-init comes with its settings.
    if name.starts_with("ide") && value.contains("cloudinit") {
        return Some("VM.Config.Disk");
    }
    if value.contains("media=cdrom") {
        return Some("VM.Config.CDROM|VM.Config.Disk");
    }
    Some(find(name)?.privileges.vm).filter(|privilege| !privilege.is_empty())
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
            assert_eq!(of_parameter(name, "x"), Some(privilege), "{name}");
        }
        assert_eq!(of_parameter("pool", "talos"), None);
        assert_eq!((on_cluster("startup"), on_cluster("cores")), (&["Sys.Modify"][..], &[][..]));
        assert_eq!(on_cluster("ha"), ["Sys.Audit", "Sys.Console"]);
        assert_eq!(of_mapping("hostpci3", "mapping=gpu,pcie=1").as_deref(), Some("/mapping/pci/gpu"));
        assert_eq!(of_mapping("usb0", "spice"), None);
        assert_eq!(of_mapping("virtiofs0", "data,cache=always").as_deref(), Some("/mapping/dir/data"));
        assert_eq!(of_parameter("ide2", "none,media=cdrom"), Some("VM.Config.CDROM|VM.Config.Disk"));
    }
}
