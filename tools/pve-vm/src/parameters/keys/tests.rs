//! The table against the published schemas, and values against the table.

use serde_json::{Map, Value};

use super::*;
use crate::parameters::{PARAMETERS, tests::creation};

#[test]
fn a_key_that_does_not_exist_is_named_with_the_one_that_was_meant() {
    for (name, value, why) in [
        ("scsi1", "x:1,sdd=1", "sdd is no key of it; did you mean `ssd`?"),
        ("virtio0", "x:1,scsiblock=1", "scsiblock is no key of it (keys: file, "),
        ("scsi0", "cache=fast", "cache must be one of none, writethrough, writeback, unsafe, directsync, got fast"),
        ("scsi0", "iothread=maybe", "iothread must be 1 or 0, got maybe"),
        ("scsi0", "ssd=1,ssd=0", "ssd is there twice"),
        ("net0", "virtio,bridge=vmbr0,tag=5000", "tag must be a number from 1 to 4094, got 5000"),
        ("net0", "virtio9,bridge=vmbr0", "model must be one of e1000, "),
        ("agent", "type=isa", "enabled is missing"),
        ("numa0", "0-1", "0-1 has no key (keys: cpus, "),
        ("cpu", "host,flag=+aes", "flag is no key of it; did you mean `flags`?"),
        ("scsihw", "virtio-scsi", "must be one of lsi, "),
        ("cpulimit", "129", "must be a number from 0 to 128, got 129"),
        ("ipconfig1", "ip=foo", "ip must be dhcp, or an IPv4 address as in 10.0.0.11/24, got foo"),
        ("ipconfig1", "ip=10.0.0.9", "ip must be dhcp, or an IPv4 address as in 10.0.0.11/24, got 10.0.0.9"),
        ("ipconfig0", "ip6=10.0.0.9/24", "ip6 must be auto or dhcp, or an IPv6 address as in fd00::11/64"),
        ("ipconfig0", "ip=10.0.0.9/24,gw=fd00::1", "gw must be an IPv4 address, got fd00::1"),
        ("rng0", "/dev/zero", "source must be one of /dev/urandom, "),
    ] {
        let found = wrong(name, value).unwrap_or_else(|| panic!("{name}: {value}"));
        assert!(found.starts_with(why), "{name}: {value}: {found}");
    }
    for (name, value) in [
        ("scsi1", "local-lvm:100,ssd=1,iops_rd_max_length=5"),
        ("scsi2", "file=local:0,import-from=local:import/x.qcow2,format=raw"),
        ("ide2", "none,media=cdrom"),
        ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0,trunks=1;2-5"),
        ("net1", "bridge=vmbr1,model=e1000"),
        ("agent", "1"),
        ("vga", "memory=32"),
        ("memory", "4096"),
        ("startup", "2,up=10"),
        ("hostpci0", "mapping=gpu,pcie=on"),
        ("ipconfig1", "ip=10.0.0.9/24,gw=10.0.0.1,ip6=auto"),
        ("ipconfig2", "ip=dhcp,ip6=fd00::9/64,gw6=fd00::1"),
        ("ostype", "l26"),
        ("numa", "1"),
        ("numa0", "cpus=0-1,memory=1024"),
        ("description", "a=b,c"),
        ("nosuch", "x"),
    ] {
        assert_eq!(wrong(name, value), None, "{name}: {value}");
    }
}

#[test]
fn keys_that_a_release_lacks_are_named_for_that_release_only() {
    let lacks = |release, name, value| unknown_to(release, name, value);
    assert_eq!(lacks((8, 4), "machine", "q35,aw-bits=48").as_deref(), Some("aw-bits"));
    assert_eq!(lacks((9, 1), "machine", "q35,aw-bits=48"), None);
    assert_eq!(lacks((9, 0), "scsi1", "x:1,cyls=5").as_deref(), Some("cyls"));
    assert_eq!(lacks((8, 4), "allow-ksm", "0").as_deref(), Some("allow-ksm"));
    assert!(depends_on_release("scsi1", "x:1,cyls=5") && !depends_on_release("scsi1", "x:1,ssd=1"));
}

/// What the server has that its published schema leaves to code, and what came after it.
const UNPUBLISHED: [&str; 1] = ["net: host-tunnel"];

/// The published schemas of both releases: each key and each list of values is in the table, and nothing else.
#[test]
fn the_table_has_the_keys_and_values_of_the_published_schemas() {
    let mut schemas = Vec::new();
    for release in ["8.4", "9.1"] {
        let Some(path) = judges::vectors(&format!("pve/apidata-{release}.json")) else { return };
        let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        schemas.push(creation(&schema).unwrap().clone());
    }
    let mut compared = 0;
    for parameter in PARAMETERS {
        let name = if parameter.count > 0 { format!("{}[n]", parameter.name) } else { parameter.name.to_owned() };
        let formats: Vec<&Map<String, Value>> =
            schemas.iter().filter_map(|schema| schema.get(&name)?["format"].as_object()).collect();
        let [old, new] = formats[..] else { continue };
        let Some((_, default, groups)) = FORMATS.iter().find(|(known, ..)| *known == parameter.name) else {
            let is_unread =
                matches!(parameter.when, crate::parameters::When::Root | crate::parameters::When::Refused(_));
            assert!(is_unread, "{name} has keys that the table lacks");
            continue;
        };
        compared += 1;
        for key in old.keys().chain(new.keys()) {
            let known = groups.iter().flat_map(|group| group.iter()).find(|known| known.name == key);
            let is_model = parameter.name == "net" && MODELS.contains(&key.as_str());
            let Some(known) = known else {
                assert!(is_model, "{name}: {key}");
                continue;
            };
            let has = match (old.contains_key(key), new.contains_key(key)) {
                (true, true) => All,
                (false, _) => Since9,
                (_, false) => Until8,
            };
            assert_eq!(known.has, has, "{name}: {key}");
            let published = new.get(key).or(old.get(key)).unwrap();
            fits(&format!("{name}: {key}"), known, published);
            assert_eq!(published["default_key"] == 1, known.name == *default, "{name}: {key}");
        }
        for known in groups.iter().flat_map(|group| group.iter()) {
            let is_published = old.contains_key(known.name) || new.contains_key(known.name);
            let told = format!("{}: {}", parameter.name, known.name);
            assert!(is_published || UNPUBLISHED.contains(&told.as_str()), "{told}");
        }
    }
    assert!(compared >= 14, "{compared}");
}

fn fits(told: &str, known: &Key, published: &Value) {
    let words = |value: &Value| -> BTreeSet<String> {
        value.as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let is_alias = published.get("alias").is_some();
    match (known.values, published["type"].as_str()) {
        (OneOf(values), _) => {
            let values: BTreeSet<String> = values.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(values, words(&published["enum"]), "{told}");
        }
        (Flag, kind) => assert!(kind == Some("boolean") || is_alias, "{told}"),
        (Number(..), kind) => assert!(matches!(kind, Some("integer" | "number")) || is_alias, "{told}"),
        (Any | Address { .. } | Network { .. }, kind) => {
            assert!(kind == Some("string") && published["enum"].is_null() || is_alias, "{told}");
        }
    }
    let number = |bound: &str| published[bound].as_f64().or_else(|| published[bound].as_str()?.parse().ok());
    if let Number(least, most) = known.values
        && !is_alias
    {
        assert_eq!(number("maximum"), most.is_finite().then_some(most), "{told}");
        // No key takes less than nothing, whether the schema says so or not.
        assert_eq!(number("minimum").unwrap_or(0.0).max(0.0), least, "{told}");
    }
    // Of a drive the options are enough here, and a card without a model gets one.
    if !is_alias && known.name != "file" && told != "net[n]: model" {
        assert_eq!(published["optional"] != 1, known.is_required, "{told}");
    }
}
