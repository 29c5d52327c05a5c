//! What a host can't run: Proxmox VE says so at the start only, when a running VM is off already.

use pve_client::property::Property;
use record::{Code, Exit};

use super::{Intent, Refusal, bridges};
use crate::placement::Host;

/// The models of CPUs that every release has.
const CPUS: [&str; 5] = ["host", "kvm64", "max", "qemu64", "x86-64-v2-AES"];
/// The kinds of machine without a version: every host has one.
const MACHINES: [&str; 3] = ["pc", "q35", "virt"];

/// What the host lacks.
pub(super) fn of_host(intent: &Intent, host: &Host) -> Option<Refusal> {
    let nics = intent.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let lacks = match intent.creates || intent.starts || intent.arrives {
        true => host.unfit(intent.cores, intent.memory, &intent.bridges),
        false => host.unfit(0, 0, &bridges(nics)),
    };
    let (why, what) = lacks.or_else(|| model(intent, host))?;
    let message = format!("the VM can't run on {} so: {why}", host.name);
    let hint = format!("change {what} in the file, or the host");
    Some(Refusal::new(Exit::Failed, Code::Placement, message, hint))
}

/// The kind of machine or CPU that the host doesn't know.
fn model(intent: &Intent, host: &Host) -> Option<(String, &'static str)> {
    let lacks = |what: &str, wanted: Option<String>, known: &Option<Vec<String>>| {
        let (wanted, known) = (wanted?, known.as_ref()?);
        let is_missing = !known.is_empty() && !known.contains(&wanted);
        is_missing.then(|| format!("it has no {what} {wanted} ({what}s: {})", known.join(", ")))
    };
    let machine = lacks("machine type", intent.machine(), &host.machines).map(|why| (why, "`machine`"));
    machine.or_else(|| lacks("CPU type", intent.cpu(), &host.cpu_types).map(|why| (why, "`cpu`")))
}

impl Intent {
    fn property(&self, name: &str, key: &str) -> Option<String> {
        let (_, value) = self.parameters.iter().find(|(known, _)| known == name)?;
        let property = Property::parse(value);
        property.get(key).or(property.bare()).map(str::to_owned)
    }

    /// The kind of machine that is set, as the host's list has it, where a host may lack it.
    pub(crate) fn machine(&self) -> Option<String> {
        let machine = self.property("machine", "type")?;
        let (kind, _) = machine.split_once('+').unwrap_or((&machine, ""));
        (!MACHINES.contains(&kind)).then(|| kind.to_owned())
    }

    /// The model of CPU that is set, where a host may lack it. Models of the users' own only their auditors see.
    pub(crate) fn cpu(&self) -> Option<String> {
        let cpu = self.property("cpu", "cputype")?;
        (!CPUS.contains(&cpu.as_str()) && !cpu.starts_with("custom-")).then_some(cpu)
    }
}
