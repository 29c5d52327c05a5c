//! The table holds together.

use super::*;

#[test]
fn each_field_has_one_writer_but_for_those_that_pve_vm_list_reports() {
    let mut seen = std::collections::HashSet::new();
    let others = rows().filter(|row| row.name != PVE_VM_LIST.name);
    for field in others.flat_map(|row| row.writes).chain(&ENGINE) {
        assert!(seen.insert((field.scope, field.name)), "{:?} {} is written twice", field.scope, field.name);
    }
    for field in PVE_VM_LIST.writes {
        assert_eq!(writer(field.scope, field.name).unwrap().name, PVE_VM.name);
    }
}

#[test]
fn a_status_that_a_step_of_the_pipe_needs_is_written_by_a_step_before_it() {
    for (at, row) in PIPE.iter().enumerate() {
        for need in row.needs {
            let (Source::Field(field) | Source::Key(field, _)) = need.source else { continue };
            let writer = writer(field.scope, field.name).unwrap_or_else(|| panic!("nobody writes {}", field.name));
            assert!(PIPE[..at].iter().any(|before| before.name == writer.name), "{} reads {}", row.name, field.name);
        }
    }
}

#[test]
fn a_key_that_a_step_uses_is_one_of_its_field() {
    for need in rows().flat_map(|row| row.needs) {
        if let Source::Key(field, key) = need.source {
            assert!(field.keys().iter().any(|known| known == key), "{}.{key}", field.name);
        }
    }
}

#[test]
fn a_row_of_the_pipe_drops_what_it_and_the_rows_behind_it_write() {
    let nodes: Vec<_> = TALOS_APPLY.stale(Scope::Node).collect();
    assert_eq!(nodes, ["applied", "etcd", "waited"]);
    let cluster: Vec<_> = TALOS_APPLY.stale(Scope::Cluster).collect();
    assert_eq!(cluster, ["bootstrap", "kubeconfig", "waited"]);
}

#[test]
fn a_row_beside_the_pipe_drops_its_own_fields_and_no_error() {
    assert_eq!(PVE_VM_LIST.stale(Scope::Node).collect::<Vec<_>>(), ["vm", "addresses"]);
    assert_eq!(PVE_VM_DESTROY.stale(Scope::Node).collect::<Vec<_>>(), ["destroyed"]);
    for step in ["pve-vm list", "pve-vm", "talos-wait"] {
        assert!(!PVE_VM_LIST.drops_error_of(step), "{step}");
    }
}

#[test]
fn the_reader_of_the_cluster_file_drops_nothing_of_what_it_has_just_written() {
    assert_eq!(EXPLODE.stale(Scope::Cluster).count(), 0);
}

#[test]
fn a_row_of_the_pipe_drops_errors_of_the_pipe_only() {
    assert!(PVE_VM.drops_error_of("pve-vm") && PVE_VM.drops_error_of("talos-wait"));
    for step in ["talos-image", "pve-vm list", "kube-node drain", "my-script"] {
        assert!(!PVE_VM.drops_error_of(step), "{step}");
    }
}

#[test]
fn a_step_that_makes_nodes_what_their_specs_say_is_one_of_the_pipe() {
    let makers: Vec<_> = rows().filter(|row| row.makes_nodes()).map(|row| row.name).collect();
    assert_eq!(makers, ["pve-vm", "talos-gen"]);
}

#[test]
fn a_lack_is_explained_by_the_writer_or_a_step_before_it() {
    assert!(is_behind("pve-vm", Scope::Node, "vm") && is_behind("talos-image", Scope::Node, "vm"));
    assert!(!is_behind("talos-gen", Scope::Node, "vm") && !is_behind("my-script", Scope::Node, "vm"));
}

#[test]
fn every_row_is_a_verb_of_a_known_program_and_says_what_it_does() {
    for row in rows() {
        let known = row.name == EXPLODE.name || PIPE.iter().any(|pipe| pipe.name == row.program());
        assert!(known && !row.summary.is_empty(), "{}", row.name);
    }
}
