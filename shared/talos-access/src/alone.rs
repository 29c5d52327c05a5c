//! A stream made from flags.

use std::path::Path;

use record::{
    Cluster, Code, Entry, Exit, Failure, Map, Node, Role, Roster,
    status::{Access, Addresses},
};
use talos_client::Address;
use talosconfig::Talosconfig;

use crate::TalosFlags;

/// The records of a tool that works without a stream.
#[derive(Debug)]
pub struct Alone {
    /// Named after the context of the talosconfig, as far as a record can have that name.
    pub cluster: Cluster,
    /// Named after their addresses.
    pub nodes: Vec<Node>,
}

/// Makes records from `flags`: a node of this `role` for each `--nodes`, else for each `--endpoints`, else for what the
/// talosconfig's context names.
///
/// # Errors
/// No node is named anywhere (exit 2), or the talosconfig can't be read (exit 8).
pub fn alone(flags: &TalosFlags, role: Role) -> Result<Alone, Failure> {
    let file = flags.talosconfig_file();
    let config = file.as_deref().map(read).transpose()?;
    let wanted = flags.context.as_deref().unwrap_or_default();
    let context = config.as_ref().and_then(|config| config.context(wanted).ok());
    let named = [&flags.nodes, &flags.endpoints].into_iter().find(|named| !named.is_empty()).cloned();
    let listed = context.map(|context| if context.nodes.is_empty() { &context.endpoints } else { &context.nodes });
    let mut addresses = named.or_else(|| listed.cloned()).unwrap_or_default();
    let mut seen = std::collections::HashSet::new();
    addresses.retain(|address| seen.insert(address.clone()));
    if addresses.is_empty() {
        return Err(Failure::new(Exit::Usage, Code::Usage, "no nodes given")
            .hint("give their addresses with -n, pipe records in, or name a cluster file with -f"));
    }
    for address in &addresses {
        let parsed = address.parse::<Address>();
        parsed.map_err(|error| Failure::new(Exit::Usage, Code::Usage, error.to_string()))?;
    }
    let name = config.as_ref().map(|config| if wanted.is_empty() { config.context.as_str() } else { wanted });
    records(&name_of(name.unwrap_or_default()), &addresses, role, file.as_deref())
}

/// The name of the cluster in the records, from that of a context, which others choose: talosctl calls one `reader@lab`.
fn name_of(context: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name: String = context.chars().take(63).map(|c| if fits(c) { c } else { '-' }).collect();
    let name = name.trim_matches(['-', '.']);
    if name.is_empty() { "talos".to_owned() } else { name.to_owned() }
}

fn read(file: &Path) -> Result<Talosconfig, Failure> {
    let unusable = |why: &dyn std::error::Error| {
        Failure::caused(Exit::Unusable, Code::Talosconfig, file.display().to_string(), why)
    };
    let text = std::fs::read_to_string(file).map_err(|error| unusable(&error))?;
    Talosconfig::parse(&text).map_err(|error| unusable(&error))
}

fn records(name: &str, addresses: &[String], role: Role, file: Option<&Path>) -> Result<Alone, Failure> {
    let roster = Roster::new(addresses.iter().map(|address| Entry::new(named_after(address), role)).collect())?;
    let mut cluster = Cluster::new(name, Map::new(), roster);
    let absolute = |path: &Path| {
        std::path::absolute(path).map_err(|error| Failure::new(Exit::Usage, Code::Usage, format!("{path:?}: {error}")))
    };
    cluster.set_dir(&absolute(Path::new("."))?);
    if let Some(file) = file {
        let talosconfig = absolute(file)?.to_string_lossy().into_owned();
        let access = Access { talosconfig, ..Access::default() };
        cluster.set(&access);
    }
    let nodes = addresses.iter().map(|address| node(address, name, role)).collect();
    Ok(Alone { cluster, nodes })
}

/// The name of the node at this address in the records: endpoints of a talosconfig may be URLs.
fn named_after(address: &str) -> &str {
    address.split_once("://").map_or(address, |(_, rest)| rest).trim_end_matches('/')
}

fn node(address: &str, cluster: &str, role: Role) -> Node {
    let mut spec = Map::new();
    spec.insert("role".to_owned(), role.as_str().into());
    let mut node = Node::new(named_after(address), cluster, spec);
    node.set(&Addresses(vec![address.to_owned()]));
    node
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "context: lab\ncontexts:\n    lab:\n        endpoints: [10.0.0.11, 10.0.0.12]\n        ca: eA==\n        crt: eA==\n        key: eA==\n";

    fn flags(config: &str, nodes: &[&str]) -> (tempfile::NamedTempFile, TalosFlags) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), config).expect("it can be written");
        let nodes = nodes.iter().map(|node| (*node).to_owned()).collect();
        let flags = TalosFlags { nodes, talosconfig: Some(file.path().to_owned()), ..TalosFlags::default() };
        (file, flags)
    }

    #[test]
    fn named_nodes_become_records_with_an_address_and_credentials() {
        let (file, flags) = flags(CONFIG, &["10.0.0.13", "10.0.0.13"]);

        let alone = alone(&flags, Role::Worker).expect("records");

        assert_eq!(alone.cluster.name(), "lab");
        let access: Access = alone.cluster.get().expect("typed").expect("there");
        assert_eq!(access.talosconfig, file.path().to_string_lossy());
        assert_eq!(alone.nodes.len(), 1);
        assert_eq!(alone.nodes[0].address(), Some("10.0.0.13"));
    }

    #[test]
    fn a_context_may_have_any_name() {
        for (context, name) in [
            ("lab", "lab"),
            ("reader@lab", "reader-lab"),
            ("Prod.EU", "Prod.EU"),
            ("../../etc", "etc"),
            ("東京", "talos"),
            ("", "talos"),
            ("-n x\u{1b}[2J", "n-x--2J"),
        ] {
            assert_eq!(name_of(context), name, "{context}");
        }
        assert_eq!(name_of(&"a".repeat(300)).len(), 63);
    }

    #[test]
    fn without_named_nodes_those_of_the_context_are_taken() {
        let (_file, flags) = flags(CONFIG, &[]);

        let alone = alone(&flags, Role::ControlPlane).expect("records");

        assert_eq!(alone.nodes.iter().map(Node::name).collect::<Vec<_>>(), ["10.0.0.11", "10.0.0.12"]);
        assert!(alone.nodes.iter().all(Node::is_control_plane));
    }

    #[test]
    fn an_endpoint_may_be_a_url_and_what_is_no_address_is_wrong_usage() {
        let (_file, mut flags) = flags("context: ''\ncontexts: {}\n", &["https://cp.lan:50000/"]);
        let node = &alone(&flags, Role::ControlPlane).expect("records").nodes[0];
        assert_eq!((node.name(), node.address()), ("cp.lan:50000", Some("https://cp.lan:50000/")));

        flags.nodes = vec!["a b@c".to_owned()];
        let failure = alone(&flags, Role::ControlPlane).expect_err("no address");
        assert_eq!((failure.exit, failure.message.contains("`a b@c` is not an address")), (Exit::Usage, true));
    }

    #[test]
    fn no_node_anywhere_is_wrong_usage() {
        let (_file, flags) = flags("context: ''\ncontexts: {}\n", &[]);

        assert_eq!(alone(&flags, Role::Worker).expect_err("no node").exit, Exit::Usage);
    }
}
