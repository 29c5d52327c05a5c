//! Working from flags: a machine config and the addresses of nodes.

use std::{fs::File, io::Read};

use go_yaml::Dialect;
use machine_config::{Config, patch, patch::Patch};
use record::{Code, Exit, Failure, Role};
use step::Source;

use crate::{args::Args, plan::Wanted};

/// The largest message that a node accepts, in bytes.
const MOST: u64 = 32 << 20;

/// What was made of flags.
pub(crate) struct Prepared {
    pub(crate) wanted: Wanted,
    pub(crate) source: Source,
    /// What Talos loses in silence with the patches, in words.
    pub(crate) lost: Vec<String>,
}

/// Reads the machine config that `-f` names, patched, and makes records of the nodes.
pub(crate) fn prepare(args: &Args) -> Result<Prepared, Failure> {
    let name = args.stream.file.as_deref().ok_or_else(|| {
        usage("no machine config is given".to_owned()).hint("-f names the file; `-f -` reads it from stdin")
    })?;
    let text = read(name)?;
    let is_ours = is_ours(&text);
    let patched = patched(text, &args.patches);
    let wanted = patched.and_then(|(text, lost)| Ok((Wanted::read(text, None)?, lost)));
    let (wanted, lost) = wanted.map_err(|failure| match is_ours {
        true => failure.hint("with -n, -f takes a machine config; --only names nodes of a cluster file"),
        false => failure,
    })?;
    let source = records(args, wanted.role)?;
    Ok(Prepared { wanted, source, lost })
}

/// Whether a text is a cluster file or records: the hint for those helps nobody whose machine config has a mistake.
fn is_ours(text: &str) -> bool {
    text.trim_start().starts_with('{') && text.contains("\"ichor/v1\"")
        || text.lines().any(|line| line.starts_with("apiVersion:") && line.contains("ichor/v1"))
}

fn records(args: &Args, role: Role) -> Result<Source, Failure> {
    let alone = talos_access::alone(&args.talos, role)?;
    Ok(Source::Records(Box::new(alone.cluster), alone.nodes))
}

fn read(name: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let result = if name == "-" {
        std::io::stdin().take(MOST + 1).read_to_end(&mut bytes)
    } else {
        File::open(name).and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes))
    };
    result.map_err(|error| usage(format!("{name}: {error}")))?;
    if bytes.len() as u64 > MOST {
        let message = format!("{name}: larger than {} MiB, the maximum that a node accepts", MOST >> 20);
        return Err(Failure::new(Exit::Unusable, Code::MachineConfig, message));
    }
    String::from_utf8(bytes)
        .map_err(|_| Failure::new(Exit::Unusable, Code::MachineConfig, format!("{name}: not UTF-8")))
}

/// The config after the patches, and what is lost with them. Without patches it stays the same, byte for byte.
fn patched(text: String, patches: &[String]) -> Result<(String, Vec<String>), Failure> {
    if patches.is_empty() {
        return Ok((text, Vec::new()));
    }
    let unusable = |what: &str, error: &dyn std::error::Error| {
        Failure::caused(Exit::Unusable, Code::MachineConfig, format!("--config-patch {what}"), error)
    };
    let mut read = Vec::new();
    for text in patches {
        let file = |path: &str| std::fs::read_to_string(path).map_err(|error| error.to_string());
        read.push(patch::argument(text, file).map_err(|error| unusable("can't be read", &error))?);
    }
    let config = machine_config::load(&text).map_err(|error| unusable("can't patch this machine config", &error))?;
    let patched = patch::apply(&config, &read).map_err(|error| unusable("can't be applied", &error))?;
    Ok((patched.text(Dialect::V3), lost(config, &read)))
}

/// The selectors and sizes that patches erase unasked.
fn lost(mut config: Config, patches: &[Patch]) -> Vec<String> {
    let mut lost = Vec::new();
    for (patch, number) in patches.iter().zip(1..) {
        // A JSON patch may need the next one; it erases nothing unasked.
        let Ok(patched) = patch::apply(&config, std::slice::from_ref(patch)) else { break };
        let erased = patch::erased(&config, patch, &patched);
        lost.extend(erased.iter().map(|erased| format!("--config-patch {number} {erased}")));
        config = patched;
    }
    lost
}

fn usage(message: String) -> Failure {
    Failure::new(Exit::Usage, Code::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "version: v1alpha1 # by hand\nmachine:\n    type: worker\n    token: abc\n";

    #[test]
    fn a_config_without_patches_is_sent_as_it_was_written() {
        assert_eq!(patched(CONFIG.to_owned(), &[]).expect("a config"), (CONFIG.to_owned(), Vec::new()));
    }

    #[test]
    fn a_cluster_file_and_records_are_told_from_a_machine_config() {
        assert!(is_ours("# ours\napiVersion: ichor/v1\nkind: Cluster\n"));
        assert!(is_ours("{\"apiVersion\":\"ichor/v1\",\"kind\":\"Cluster\"}\n"));
        assert!(!is_ours(CONFIG) && !is_ours("apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: ichor/v1\n"));
    }

    #[test]
    fn patches_are_merged_in_order() {
        let patches = ["machine: {nodeLabels: {a: b}}".to_owned(), "machine: {nodeLabels: {a: c}}".to_owned()];

        let (text, lost) = patched(CONFIG.to_owned(), &patches).expect("a config");

        assert!(text.contains("a: c") && !text.contains("a: b") && lost.is_empty(), "{text}");
    }

    #[test]
    fn a_size_that_a_patch_does_not_repeat_is_told_with_the_number_of_the_patch() {
        let volume = "apiVersion: v1alpha1\nkind: VolumeConfig\nname: EPHEMERAL\nprovisioning:\n";
        let config = format!("{CONFIG}---\n{volume}    minSize: 2GiB\n");
        let patches = ["machine: {nodeLabels: {a: b}}".to_owned(), format!("{volume}    grow: true\n")];

        let (text, lost) = patched(config, &patches).expect("a config");

        assert!(!text.contains("minSize"), "{text}");
        assert_eq!(lost.len(), 1);
        assert!(
            lost[0].starts_with("--config-patch 2 erases provisioning.minSize of VolumeConfig/EPHEMERAL"),
            "{lost:?}"
        );
    }
}
