//! VMs that Talos is installed on from an ISO: where the image is one, the system disk begins empty and the ISO is in a
//! CD drive behind it. The firmware passes an empty disk by, and boots Talos from the CD; once Talos is installed, from the
//! disk.
//!
//! Only the creation knows of the ISO. Later it is nobody's business whether the CD drive is there.

use pve_client::request::Parameters;

use crate::{
    disks::{Drive, Options, SYSTEM, Source},
    sizes::GIB,
    values::Extent,
};

/// Whether a volume is an ISO, not a disk image to import.
pub(crate) fn is_iso(volume: &str) -> bool {
    volume.split_once(':').is_some_and(|(_, name)| name.starts_with("iso/"))
}

/// The drives of a creation: with an ISO, the system disk is a new one, and the ISO takes a slot that is free.
pub(crate) fn drives(drives: &[Drive], image: &str) -> Vec<Drive> {
    let mut drives = drives.to_vec();
    if !is_iso(image) {
        return drives;
    }
    for system in drives.iter_mut().filter(|drive| drive.slot == SYSTEM) {
        system.source = Source::New((system.size.unwrap_or_default() / GIB).to_string());
    }
    let slots = ["ide2", "ide3", "ide1", "ide0", "sata5", "sata4", "sata3", "sata2", "sata1", "sata0"];
    let is_free = |slot: &&str| !drives.iter().any(|drive| drive.slot == **slot);
    if let Some(slot) = slots.into_iter().find(is_free) {
        let (slot, source) = (slot.to_owned(), Source::Medium(image.to_owned()));
        let (storage, size, options) = (None, None, Options::new());
        drives.push(Drive { slot, source, storage, size, options, extent: Extent::Part });
    }
    drives
}

/// The same parameters with the ISO behind the system disk in the boot order.
pub(crate) fn booting(mut parameters: Parameters, image: &str) -> Parameters {
    let slot =
        parameters.iter().find(|(_, value)| value.split(',').next() == Some(image)).map(|(slot, _)| slot.clone());
    if let Some(slot) = slot.filter(|_| is_iso(image)) {
        for (_, order) in parameters.iter_mut().filter(|(name, _)| name == "boot") {
            order.push(';');
            order.push_str(&slot);
        }
    }
    parameters
}

/// A disk of the file that brings its data along. While Talos installs itself, no such disk may be attached: by its name
/// alone (`/dev/sda`) it can't be told from the system disk for certain.
pub(crate) fn endangered(drives: &[Drive], image: &str) -> Option<String> {
    let brings_data = |drive: &&Drive| match &drive.source {
        Source::Volume(_) => true,
        Source::Import(from) => from.is_some(),
        Source::New(_) | Source::CloudInit | Source::Medium(_) => false,
    };
    drives.iter().find(brings_data).filter(|_| is_iso(image)).map(|drive| drive.slot.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISO: &str = "local:iso/talos.iso";

    fn drive(slot: &str, text: &str) -> Drive {
        Drive::parse(slot, text).unwrap()
    }

    fn system() -> Drive {
        Drive { size: Some(20 * GIB), ..drive(SYSTEM, "discard=on") }
    }

    fn made(drives: &[Drive]) -> Vec<(String, String)> {
        drives.iter().map(|drive| (drive.slot.clone(), drive.creation("fast", ISO))).collect()
    }

    #[test]
    fn with_an_iso_the_system_disk_is_empty_and_the_iso_takes_a_free_slot() {
        let pair = |slot: &str, value: &str| (slot.to_owned(), value.to_owned());
        let found = made(&drives(&[system()], ISO));
        assert_eq!(found, [pair("scsi0", "fast:20,discard=on"), pair("ide2", "local:iso/talos.iso,media=cdrom")]);
        let own = [system(), drive("ide2", "local:iso/tools.iso,media=cdrom"), drive("ide3", "none,media=cdrom")];
        assert_eq!(made(&drives(&own, ISO)).last(), Some(&pair("ide1", "local:iso/talos.iso,media=cdrom")));
        assert_eq!(drives(&own, "local:import/talos.qcow2"), own);
    }

    #[test]
    fn the_disk_boots_before_the_iso() {
        let order = |image: &str| {
            let parameters =
                vec![("boot".to_owned(), "order=scsi0".to_owned()), ("ide2".to_owned(), format!("{ISO},media=cdrom"))];
            booting(parameters, image).swap_remove(0).1
        };
        assert_eq!((order(ISO).as_str(), order("local:import/x.qcow2").as_str()), ("order=scsi0;ide2", "order=scsi0"));
    }

    #[test]
    fn a_disk_that_brings_data_is_not_attached_while_talos_installs_itself() {
        for (text, is_endangered) in
            [("fast:vm-9-disk-0", true), ("fast:0,import-from=local:import/data.raw", true), ("fast:100", false)]
        {
            let disks = [system(), drive("scsi1", text)];
            let wanted = is_endangered.then(|| "scsi1".to_owned());
            assert_eq!(endangered(&disks, ISO), wanted, "{text}");
            assert_eq!(endangered(&disks, "local:import/talos.qcow2"), None, "{text}");
        }
    }
}
