//! Containers of the system.

use std::collections::HashSet;

use crate::checks::name;
use crate::lookup::Lookup;
use crate::report::Report;
use crate::{checks, reference};

pub(crate) fn container(fields: Lookup<'_>, report: &mut Report) {
    report.errors.extend(container_name(name(fields)));
    let image = fields.at("image").text();
    if let Some(why) = Some(image).filter(|image| !image.is_empty()).and_then(reference::wrong) {
        report.error(format!("invalid image reference {image:?}: {why}"));
    } else if !image.is_empty() && !image.contains('@') {
        let why = "is not digest-pinned, the running image may change on restart";
        report.warn(format!("container {:?}: image {image:?} {why}", name(fields)));
    }
    for (index, entry) in fields.at("environment").texts().enumerate().filter(|(_, entry)| !entry.contains('=')) {
        report.error(format!("environment[{index}]: {entry:?} must be in KEY=value form"));
    }
    mounts(fields.at("mounts"), report);
    let (profile, mode) = (fields.at("security.profile").text(), fields.at("network.mode").text());
    if !matches!(profile, "" | "restricted" | "privileged") {
        report.error(format!("unsupported security profile {profile:?}, expected restricted or privileged"));
    }
    capabilities(fields.at("security.capabilities"), report);
    if !matches!(mode, "" | "none" | "host") {
        report.error(format!("unsupported network mode {mode:?}, expected none or host"));
    }
    limits(fields.at("resources.limits"), report);
    depends_on(name(fields), fields.at("dependsOn"), report);
}

fn container_name(name: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match name.len() {
        64.. => Some(format!("name {name:?} must be 63 characters or fewer")),
        _ if !name.chars().all(fits) => {
            Some(format!("name {name:?}: name can only contain lowercase ASCII letters, digits and hyphens"))
        }
        _ => None,
    }
}

fn absolute(what: &str, path: &str) -> Option<String> {
    match path {
        "" => Some(format!("{what} is required")),
        path if !path.starts_with('/') => Some(format!("{what} {path:?} must be an absolute path")),
        _ => None,
    }
}

const MOUNTS: [&str; 3] = ["userVolume", "tmpfs", "hostPath"];
const MOUNT_OPTIONS: [&str; 6] = ["ro", "rw", "noexec", "nosuid", "nodev", "noatime"];

fn mounts(list: Lookup<'_>, report: &mut Report) {
    let mut seen = HashSet::new();
    for (index, mount) in list.items().enumerate() {
        let kinds: Vec<_> = MOUNTS.into_iter().filter(|kind| mount.at(kind).is_set()).collect();
        let [kind] = kinds.as_slice() else {
            report.error(format!("mounts[{index}]: exactly one of userVolume, tmpfs or hostPath must be set"));
            continue;
        };
        let section = mount.at(kind);
        let found = mount_problems(kind, section);
        let destination = section.at("destination").text();
        if found.is_empty() && !seen.insert(destination) {
            report.error(format!("mounts[{index}]: duplicate destination {destination:?}"));
        }
        report.errors.extend(found.into_iter().map(|why| format!("mounts[{index}]: {why}")));
    }
}

fn mount_problems(kind: &str, section: Lookup<'_>) -> Vec<String> {
    let mut out = Vec::new();
    if kind == "userVolume" && name(section).is_empty() {
        out.push("userVolume.name is required".to_owned());
    }
    if kind == "hostPath" {
        out.extend(absolute("hostPath.source", section.at("source").text()));
    }
    out.extend(absolute(&format!("{kind}.destination"), section.at("destination").text()));
    let options: Vec<&str> = section.at("options").texts().collect();
    let unknown = options.iter().filter(|option| !MOUNT_OPTIONS.contains(option));
    out.extend(unknown.map(|option| format!("unsupported mount option {option:?}")));
    if options.contains(&"ro") && options.contains(&"rw") {
        out.push("mount options ro and rw are mutually exclusive".to_owned());
    }
    out
}

fn capabilities(section: Lookup<'_>, report: &mut Report) {
    let (add, drop) = (section.at("add").texts(), section.at("drop").texts());
    for capability in add.clone() {
        if capability == "ALL" {
            report.error("capabilities.add does not accept ALL, use profile: privileged instead");
        } else {
            report.errors.extend(capability_name("capabilities.add", capability));
        }
    }
    for capability in drop.clone().filter(|capability| *capability != "ALL") {
        report.errors.extend(capability_name("capabilities.drop", capability));
    }
    for capability in add.filter(|capability| drop.clone().any(|other| other == *capability)) {
        report.error(format!("capability {capability:?} appears in both add and drop"));
    }
}

fn capability_name(field: &str, name: &str) -> Option<String> {
    let why = if name.is_empty() {
        return Some(format!("{field}: capability name must not be empty"));
    } else if name.starts_with("CAP_") {
        "must be given without the CAP_ prefix"
    } else if name.to_uppercase() != name {
        "must be upper case"
    } else if !name.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
        "may only contain upper case letters and underscores"
    } else {
        return None;
    };
    Some(format!("{field}: capability {name:?} {why}"))
}

fn limits(section: Lookup<'_>, report: &mut Report) {
    let (memory, cpu) = (section.at("memory").text(), section.at("cpu").text());
    if let Some(why) = Some(memory).filter(|memory| !memory.is_empty()).and_then(checks::memory) {
        report.error(format!("limits.memory {memory:?} {why}"));
    }
    match cpu.strip_suffix('m').map(|digits| digits.parse::<u64>().map_err(|_| digits)) {
        _ if cpu.is_empty() => {}
        None => report.error(format!("limits.cpu {cpu:?} must be expressed in millicores, e.g. 1500m")),
        Some(Err(digits)) => {
            let why = format!("strconv.ParseUint: parsing {digits:?}: invalid syntax");
            report.error(format!("limits.cpu {cpu:?} is not a valid millicore quantity: {why}"));
        }
        Some(Ok(0)) => report.error(format!("limits.cpu {cpu:?} must be greater than zero")),
        Some(Ok(_)) => {}
    }
}

fn depends_on(own: &str, section: Lookup<'_>, report: &mut Report) {
    report.errors.extend(section.at("paths").texts().filter_map(|path| absolute("dependsOn.paths entry", path)));
    let known = ["addresses", "connectivity", "hostname", "etcfiles"];
    for condition in section.at("networks").texts().filter(|condition| !known.contains(condition)) {
        report.error(format!("unsupported dependsOn.networks condition {condition:?}"));
    }
    for other in section.at("containers").texts() {
        if other.is_empty() {
            report.error("dependsOn.containers entry must not be empty");
        } else if other == own {
            report.error(format!("container {own:?} cannot depend on itself"));
        }
    }
}
