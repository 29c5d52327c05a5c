//! Schematic IDs against those of the real Image Factory.

use conformance::text;
use judges::vectors;
use schematic::Schematic;

#[derive(Default)]
struct Tally {
    good: usize,
    wrong: Vec<String>,
}

#[test]
fn schematics_get_the_ids_that_the_factory_gives() {
    let Some(path) = vectors("schematic-ids.json") else { return };
    let cases: Vec<serde_json::Value> = serde_json::from_str(&text(&path)).unwrap();
    let mut tally = Tally::default();
    for case in &cases {
        let field = |key: &str| case[key].as_str().unwrap_or_default();
        let ours = Schematic::parse(field("input"));
        let fits = match &ours {
            Ok(schematic) => schematic.id() == field("id") && schematic.canonical() == field("canonical"),
            Err(_) => !field("err").is_empty(),
        };
        if fits {
            tally.good += 1;
        } else {
            let ours = ours.map(|schematic| schematic.canonical());
            tally.wrong.push(format!("{}: {ours:?} for {:?}", field("name"), field("canonical")));
        }
    }
    assert!(tally.wrong.is_empty(), "{} good; {:#?}", tally.good, tally.wrong);
}
