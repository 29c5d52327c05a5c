//! The user's patches: read, checked, applied. Files are read through a closure.

use std::cell::RefCell;

use machine_config::patch::{self, Part, Patch};
use machine_config::{Config, Contract, MachineType, secrets};
use record::Failure;
use serde_json::Value;

use crate::error::Error;
use crate::files;

/// Reads the text of a file.
pub(crate) type Reader<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// A patch with the name that messages give it.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) patch: Patch,
}

/// Reads the patches of a spec: `@file`, or the patch itself as text or as YAML of the cluster file.
pub(crate) fn of_spec(patches: &[Value], read: Reader<'_>) -> Result<Vec<Named>, Error> {
    patches.iter().enumerate().map(|(index, value)| one(index + 1, value, read)).collect()
}

fn one(number: usize, value: &Value, read: Reader<'_>) -> Result<Named, Error> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let file = text.strip_prefix('@');
    let name = file.map_or_else(|| number.to_string(), str::to_owned);
    let patch = match file {
        Some(_) => patch::argument(&text, read),
        None => patch::parse(&text),
    };
    let patch = patch.map_err(|source| Error::Patch { name: name.clone(), source })?;
    match inline_secret(&patch).filter(|_| file.is_none()) {
        Some(place) => Err(Error::InlineSecret { name, place }),
        None => Ok(Named { name, patch }),
    }
}

/// Reads the values of `--config-patch`.
pub(crate) fn of_flags(patches: &[String]) -> Result<Vec<Named>, Failure> {
    patches.iter().enumerate().map(|(index, text)| of_flag(index + 1, text)).collect()
}

/// A file that can't be read fails as any other file does.
fn of_flag(number: usize, text: &str) -> Result<Named, Failure> {
    if text.is_empty() {
        let text = format!("patch {number} has no text: write the patch itself, or @file");
        return Err(Error::Usage(text).into());
    }
    let name = text.strip_prefix('@').map_or_else(|| number.to_string(), str::to_owned);
    let unread = RefCell::new(None);
    let read = |path: &str| {
        files::read(path).map_err(|failure| {
            let text = failure.message.clone();
            unread.replace(Some(failure));
            text
        })
    };
    match patch::argument(text, read) {
        Ok(patch) => Ok(Named { name, patch }),
        Err(source) => Err(unread.take().unwrap_or_else(|| Error::Patch { name, source }.into())),
    }
}

/// Where a patch holds a secret, if it does.
fn inline_secret(patch: &Patch) -> Option<String> {
    let parts = match patch {
        Patch::Strategic(parts) => parts,
        Patch::Json(operations) => return operations.secret().map(|path| format!("v1alpha1 {path}")),
    };
    let documents = parts.iter().filter_map(Part::document);
    let found = documents.flat_map(secrets).next()?;
    Some(format!("{} {}", found.document, found.path))
}

/// A config after its patches.
pub(crate) struct Patched {
    pub(crate) config: Config,
    /// The patches that changed nothing.
    pub(crate) idle: Vec<String>,
    /// What Talos would lose in silence, in words.
    pub(crate) lost: Vec<String>,
}

/// Applies patches.
pub(crate) fn apply(config: Config, patches: &[Named]) -> Result<Patched, Error> {
    let (mut idle, mut lost) = (Vec::new(), Vec::new());
    let mut config = config;
    for named in &joined(patches) {
        let patched =
            patch::apply(&config, std::slice::from_ref(&named.patch)).map_err(|source| refused(named, source))?;
        if machine_config::is_same(&config, &patched) {
            idle.push(named.name.clone());
        }
        let erased = patch::erased(&config, &named.patch, &patched);
        lost.extend(erased.iter().map(|erased| format!("patch {} {erased}", named.name)));
        config = patched;
    }
    Ok(Patched { config, idle, lost })
}

/// The patches, with adjacent JSON patches joined, as Talos does.
fn joined(patches: &[Named]) -> Vec<Named> {
    let mut out: Vec<Named> = Vec::new();
    for named in patches {
        match (out.last_mut(), &named.patch) {
            (Some(Named { name, patch: Patch::Json(first) }), Patch::Json(next)) => {
                first.join(next);
                *name = format!("{name} and {}", named.name);
            }
            _ => out.push(named.clone()),
        }
    }
    out
}

/// Why a patch doesn't fit; for a JSON patch on several documents, what to write instead.
fn refused(named: &Named, source: patch::Error) -> Error {
    let name = named.name.clone();
    match (&named.patch, source) {
        (Patch::Json(operations), patch::Error::ManyDocuments) if operations.is_empty() => Error::EmptyPatch { name },
        (Patch::Json(operations), source @ patch::Error::ManyDocuments) => {
            Error::JsonPatch { name, source: Box::new(source), instead: operations.as_strategic() }
        }
        (_, source) => Error::Patch { name, source },
    }
}

/// Refuses documents that the machine or its Talos wouldn't accept.
pub(crate) fn check(patches: &[Named], machine: MachineType, talos: Contract) -> Result<(), Error> {
    patches.iter().try_for_each(|named| check_one(named, machine, talos))
}

fn check_one(named: &Named, machine: MachineType, talos: Contract) -> Result<(), Error> {
    let Patch::Strategic(parts) = &named.patch else { return Ok(()) };
    let added = || parts.iter().filter(|part| part.document().is_some()).map(Part::kind);
    if let Some(kind) = added().find(|kind| kind.since > talos.minor()) {
        return Err(Error::NewerKind {
            name: named.name.clone(),
            kind: kind.name,
            since: kind.since,
            talos: talos.to_string(),
        });
    }
    let closed: Vec<&str> = added().filter(|kind| kind.control_plane).map(|kind| kind.name).collect();
    if machine == MachineType::Worker && !closed.is_empty() {
        return Err(Error::ControlPlaneOnly { name: named.name.clone(), kinds: closed.join(", ") });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_files(path: &str) -> Result<String, String> {
        Err(format!("no file {path}"))
    }

    fn read(patches: &[&str]) -> Result<Vec<Named>, Error> {
        of_spec(&patches.iter().map(|text| Value::from(*text)).collect::<Vec<_>>(), &no_files)
    }

    #[test]
    fn a_patch_may_be_text_yaml_or_a_file() {
        let text = "machine: {sysctls: {a: '1'}}";
        let patches = [text.into(), serde_json::json!({"machine": {"sysctls": {"b": "2"}}})];
        assert_eq!(of_spec(&patches, &no_files).unwrap().len(), 2);
        let file = |_: &str| Ok(text.to_owned());
        assert_eq!(of_spec(&["@p.yaml".into()], &file).unwrap()[0].name, "p.yaml");
        let error = read(&["@p.yaml"]).unwrap_err();
        assert!(matches!(error, Error::Patch { .. }));
    }

    #[test]
    fn a_secret_in_the_cluster_file_is_refused_but_not_in_a_file_of_its_own() {
        let text = "machine: {token: abc.def}";
        let join = "apiVersion: v1alpha1\nkind: SideroLinkConfig\napiUrl: https://x?jointoken=abc\n";
        for text in [text, join, "machine: {env: {https_proxy: 'http://u:abc@p:1'}}"] {
            assert!(matches!(read(&[text]), Err(Error::InlineSecret { .. })), "{text}");
        }
        assert!(read(&["machine: {env: {https_proxy: 'http://p:1'}}"]).is_ok());
        assert!(of_spec(&["@p.yaml".into()], &|_| Ok(text.to_owned())).is_ok());
    }

    #[test]
    fn adjacent_json_patches_are_one() {
        let add = "[{op: add, path: /machine/odd, value: a}]";
        let then = "[{op: move, from: /machine/odd, path: /machine/type}]";
        let config = || machine_config::load("machine: {}").unwrap();
        assert!(apply(config(), &read(&[add, then]).unwrap()).is_ok());
        let idle = apply(config(), &read(&["machine: {}", "[]", "[]"]).unwrap()).unwrap().idle;
        assert_eq!(idle, ["1", "2 and 3"]);
    }

    #[test]
    fn a_selector_or_size_that_a_patch_does_not_repeat_is_told_with_its_place() {
        let install = "apiVersion: v1alpha1\nkind: UnattendedInstallConfig\n";
        let volume = "apiVersion: v1alpha1\nkind: VolumeConfig\nname: EPHEMERAL\n";
        let all = format!(
            "{install}installer: {{image: a}}\nprovisioning: {{diskSelector: {{match: 'true'}}}}\n---\n\
             {volume}provisioning: {{diskSelector: {{match: system_disk}}, minSize: 1GiB, maxSize: 2GiB}}\n"
        );
        let lost = |patch: &str| {
            let named = read(&[patch]).unwrap();
            apply(machine_config::load(&all).unwrap(), &named).unwrap().lost
        };
        let places = |patch: &str| {
            let place = |text: String| text.split(": Talos").next().unwrap().to_owned();
            lost(patch).into_iter().map(place).collect::<Vec<_>>()
        };
        let selector = "patch 1 erases provisioning.diskSelector.match of UnattendedInstallConfig";
        assert_eq!(places(&format!("{install}reboot: false\n")), [selector]);
        assert_eq!(
            places(&format!("{volume}provisioning: {{grow: true, maxSize: 3GiB}}\n")),
            [
                "patch 1 erases provisioning.diskSelector.match of VolumeConfig/EPHEMERAL",
                "patch 1 erases provisioning.minSize of VolumeConfig/EPHEMERAL"
            ]
        );
        // What is repeated, deleted, made again or named with nothing is meant; so is what another document has.
        for meant in [
            format!("{install}reboot: false\nprovisioning: {{diskSelector: {{match: system_disk}}}}\n"),
            format!("{install}provisioning: {{diskSelector: {{match: ''}}}}\n"),
            format!("{install}provisioning: {{diskSelector: {{$patch: delete}}}}\n"),
            format!("{install}$patch: delete\n---\n{install}reboot: false\n"),
            "machine: {type: worker}\n".to_owned(),
        ] {
            assert_eq!(lost(&meant), [""; 0], "{meant}");
        }
    }

    #[test]
    fn documents_that_a_machine_would_not_take_are_named() {
        let scheduler = "apiVersion: v1alpha1\nkind: KubeSchedulerConfig\nimage: a\n";
        let patches = read(&[scheduler]).unwrap();
        let contract = |text| Contract::parse(text).unwrap();
        let check = |machine, version| check(&patches, machine, contract(version));
        assert!(matches!(check(MachineType::Worker, "v1.14"), Err(Error::ControlPlaneOnly { .. })));
        assert!(matches!(check(MachineType::ControlPlane, "v1.13"), Err(Error::NewerKind { .. })));
        assert!(check(MachineType::ControlPlane, "v1.14").is_ok());
    }
}
