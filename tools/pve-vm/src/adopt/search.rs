//! The VM that `--vm` names, and the others that it must not share anything with.

use pve_client::{Client, request};
use record::Failure;

use super::Neighbour;
use crate::{
    error::Error,
    inventory::{Inventory, together},
    location::Location,
};

/// A VM that was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picked {
    pub(super) location: Location,
    pub(super) name: String,
}

/// The VM with this ID or name; a number is an ID.
pub(super) fn pick(inventory: &Inventory, wanted: &str, node: &str) -> Result<Picked, Failure> {
    let id: Option<u32> = wanted.parse().ok();
    let is_it = |vmid: u32, name: Option<&str>| id.map_or(name == Some(wanted), |id| id == vmid);
    let picked = |vmid: u32, host: &str, name: &str| Picked {
        location: Location { vmid, host: host.to_owned() },
        name: name.to_owned(),
    };
    let known = inventory.known.iter().filter(|known| is_it(known.vmid, Some(&known.name)));
    let mut found: Vec<Picked> = known.map(|known| picked(known.vmid, &known.host, &known.name)).collect();
    let others = inventory.others.iter().filter(|row| is_it(row.vmid, row.name.as_deref()));
    found.extend(others.map(|row| picked(row.vmid, &row.node, row.name.as_deref().unwrap_or_default())));
    let vms: Vec<String> = found.iter().map(|it| it.location.to_string()).collect();
    let only = found.pop();
    match only.filter(|_| vms.len() == 1) {
        Some(only) => Ok(only),
        None if vms.is_empty() => Err(unseen(inventory, wanted, id, node)),
        None => Err(Error::SameName { name: wanted.to_owned(), vms }.into()),
    }
}

/// Why no VM was found: it can't be seen, it is a container, or there is none.
fn unseen(inventory: &Inventory, wanted: &str, id: Option<u32>, node: &str) -> Failure {
    let may_be = |vmid: u32, name: Option<&str>| id.map_or(name.is_none_or(|name| name == wanted), |id| id == vmid);
    if let Some(hidden) = inventory.hidden.iter().find(|hidden| may_be(hidden.row.vmid, hidden.row.name.as_deref())) {
        let (vmid, host, name) = (hidden.row.vmid, hidden.row.node.clone(), hidden.row.name.clone());
        let why = hidden.why.as_ref().map(|failure| failure.message.clone());
        return Error::Offline { vmid, host, name, node: node.to_owned(), why }.into();
    }
    if let Some(vmid) = inventory.rights.unseen_vms().into_iter().find(|vmid| id.is_none_or(|id| id == *vmid)) {
        return Error::Unseen { vmid, wanted: wanted.to_owned() }.into();
    }
    match id.filter(|id| inventory.taken.contains(id)) {
        Some(vmid) => Error::Container { vmid }.into(),
        None => Error::NoSuchVm { wanted: wanted.to_owned(), node: node.to_owned() }.into(),
    }
}

/// All VMs that are seen, with what they are known by.
pub(super) async fn neighbours(pve: &Client, inventory: &Inventory) -> Result<Vec<Neighbour>, Failure> {
    let mut found = Vec::new();
    for known in &inventory.known {
        let config = known.config.as_ref().map_err(Clone::clone)?;
        found.push(Neighbour::of(known.vmid, &known.name, config));
    }
    let reads = inventory.others.iter().filter(|row| row.kind == "qemu").cloned().map(|row| {
        let pve = pve.clone();
        async move {
            let config = pve.ask(&request::config(&row.node, row.vmid)).await;
            (row, config)
        }
    });
    for (row, config) in together(reads).await {
        match config {
            Ok(config) => found.push(Neighbour::of(row.vmid, row.name.as_deref().unwrap_or_default(), &config)),
            Err(error) if error.is_no_vm() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pve_client::answer::Resource;
    use record::{Code, Exit};

    use super::*;
    use crate::inventory::Hidden;

    fn row(vmid: u32, name: &str) -> Resource {
        let kind = "qemu".into();
        Resource { vmid, node: "pve1".into(), kind, name: Some(name.into()), ..Resource::default() }
    }

    fn refused(inventory: &Inventory, wanted: &str) -> (Exit, String, String) {
        let failure = pick(inventory, wanted, "w-1").unwrap_err();
        (failure.exit, failure.code, failure.message)
    }

    #[test]
    fn a_number_is_an_id_and_any_other_word_a_name_that_only_one_vm_has() {
        let others = vec![row(105, "k8s-w1"), row(106, "twin"), row(107, "twin")];
        let inventory = Inventory { others, ..Inventory::default() };
        for wanted in ["105", "k8s-w1"] {
            assert_eq!(pick(&inventory, wanted, "w-1").unwrap().location.vmid, 105, "{wanted}");
        }
        let (exit, code, message) = refused(&inventory, "twin");
        assert_eq!((exit, code.as_str()), (Exit::Guard, Code::Ambiguous.as_str()));
        assert!(message.contains("VM 106 on pve1, VM 107 on pve1"), "{message}");
    }

    #[test]
    fn a_vm_that_can_not_be_seen_is_not_said_to_be_absent() {
        let hidden = |name: Option<&str>| {
            let row = Resource { name: name.map(Into::into), node: "pve2".into(), ..row(105, "") };
            Inventory { hidden: vec![Hidden { row, why: None }], ..Inventory::default() }
        };
        for wanted in ["105", "k8s-w1"] {
            assert_eq!(refused(&hidden(None), wanted).0, Exit::Unreachable, "{wanted}");
        }
        assert_eq!(refused(&hidden(Some("db")), "k8s-w1").0, Exit::Unusable, "that one is called otherwise");
        let taken = Inventory { taken: BTreeSet::from([105]), ..Inventory::default() };
        assert!(refused(&taken, "105").2.contains("container"));
        assert_eq!(refused(&Inventory::default(), "105").0, Exit::Unusable);
    }
}
