use crate::support::{STEPS, Scratch};

#[tokio::test]
async fn help_names_needs_writes_and_exit_statuses() {
    let scratch = Scratch::new();
    for step in STEPS {
        let help = scratch.sh(&format!("{step} --help")).await.exits(0).stdout;
        for text in
            ["Needs:", "Writes:", "Exit status:", "refused: continuing could destroy data", "--dry-run", "--only"]
        {
            assert!(help.contains(text), "{step} --help does not say {text}");
        }
    }
}

#[test]
fn the_programs_that_are_tested_are_those_of_the_table() {
    assert_eq!(STEPS, record::table::PIPE.map(|row| row.name));
}

#[tokio::test]
async fn completions_man_page_and_schema_are_in_every_program() {
    let scratch = Scratch::new();
    for step in STEPS {
        let bash = scratch.sh(&format!("{step} completions bash")).await.exits(0).stdout;
        assert!(bash.contains(&format!("_{}", step.replace('-', "__"))) || bash.contains(step), "{step}: completions");
        let man = scratch.sh(&format!("{step} man")).await.exits(0).stdout;
        assert!(man.starts_with(".ie") && man.contains(".TH"), "{step}: man page");
        let schema = scratch.sh(&format!("{step} schema")).await.exits(0).stdout;
        let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
        assert_eq!(schema["title"], "A record of Ichor");
    }
}

#[tokio::test]
async fn the_multicall_program_acts_as_each_step() {
    let scratch = Scratch::new();
    for step in STEPS {
        let version = scratch.sh(&format!("ichor {step} --version")).await.exits(0).stdout;
        assert!(version.starts_with(&format!("{step} ")), "{version}");
    }
    scratch.sh("ichor talos-aply").await.exits(2).says("talos-aply: no such program");
}

#[tokio::test]
async fn wrong_usage_exits_with_2_and_names_the_flag() {
    let scratch = Scratch::new();
    for step in STEPS {
        scratch.sh(&format!("{step} --no-such-flag")).await.exits(2).says("--no-such-flag");
        scratch.sh(&format!("{step} --parallel 0")).await.exits(2).says("--parallel");
        scratch.sh(&format!("{step} --wait-timeout 90")).await.exits(2).says("--wait-timeout");
    }
}
