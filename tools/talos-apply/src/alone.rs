//! Working from flags: a machine config and the addresses of nodes.

use std::{fs::File, io::Read};

use go_yaml::Dialect;
use machine_config::patch;
use record::{Code, Exit, Failure, Role};
use step::Source;

use crate::{args::Args, plan::Wanted};

/// The largest message that a node accepts, in bytes.
const MOST: u64 = 32 << 20;

/// Reads the machine config that `-f` names, patched, and makes records of the nodes.
pub(crate) fn prepare(args: &Args) -> Result<(Wanted, Source), Failure> {
    let name = args.stream.file.as_deref().ok_or_else(|| {
        usage("no machine config is given".to_owned()).hint("-f names the file; `-f -` reads it from stdin")
    })?;
    let text = read(name)?;
    let is_ours = is_ours(&text);
    let wanted = patched(text, &args.patches).and_then(|text| Ok(Wanted::read(text, None)?));
    let wanted = wanted.map_err(|failure| match is_ours {
        true => failure.hint("with -n, -f takes a machine config; --only names nodes of a cluster file"),
        false => failure,
    })?;
    let role = wanted.role;
    Ok((wanted, records(args, role)?))
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

/// Without patches the config stays the same, byte for byte.
fn patched(text: String, patches: &[String]) -> Result<String, Failure> {
    if patches.is_empty() {
        return Ok(text);
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
    let config = patch::apply(&config, &read).map_err(|error| unusable("can't be applied", &error))?;
    Ok(config.text(Dialect::V3))
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
        assert_eq!(patched(CONFIG.to_owned(), &[]).expect("a config"), CONFIG);
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

        let text = patched(CONFIG.to_owned(), &patches).expect("a config");

        assert!(text.contains("a: c") && !text.contains("a: b"), "{text}");
    }
}
