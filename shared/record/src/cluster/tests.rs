//! What a Cluster record keeps, takes over and drops.

use super::*;
use crate::{Code, Exit};

fn read(text: &str) -> Cluster {
    Cluster::from_json(text.as_bytes()).unwrap()
}

#[test]
fn a_record_is_written_as_it_was_read() {
    let text = r#"{"apiVersion":"ichor/v1","kind":"Cluster","x":1.0,"name":"lab","status":{"a":{"b":[1e+5]},"nodes":[{"name":"cp-1","role":"controlplane","k":null}],"dir":"/d"},"spec":{"z":123456789012345678901234567890},"end":true}"#;
    assert_eq!(serde_json::to_string(&read(text)).unwrap(), text);
}

#[test]
fn a_step_drops_what_it_and_later_steps_wrote() {
    let mut cluster = read(
        r#"{"name":"lab","status":{"image":{},"access":{},"kubeconfig":{},"error":{"step":"talos-wait","code":"x","message":"m","exit":5},"mine":1}}"#,
    );
    cluster.drop_stale(&crate::table::TALOS_GEN);
    assert_eq!(cluster.status().keys().collect::<Vec<_>>(), ["image", "mine"]);
}

#[test]
fn an_error_of_a_step_before_is_kept() {
    let mut cluster = read(r#"{"name":"lab","status":{"error":{"step":"pve-vm","code":"x","message":"m","exit":5}}}"#);
    cluster.drop_stale(&crate::table::TALOS_GEN);
    assert_eq!(cluster.error().unwrap().step, "pve-vm");
}

#[test]
fn the_first_error_explains_the_later_ones() {
    let mut cluster = Cluster::new("lab", Map::new(), Roster::default());
    cluster.set_error(&Failure::new(Exit::Unusable, Code::Cut, "input was cut"));
    cluster.set_error(&Failure::new(Exit::Failed, Code::Failed, "something else"));
    assert_eq!(cluster.error().unwrap().code, "cut");
}

#[test]
fn the_stream_of_a_step_that_failed_is_one_line_of_five_fields() {
    let failure = Failure::new(Exit::Usage, Code::Usage, "m");
    let text = r#"{"apiVersion":"ichor/v1","kind":"Cluster","name":"","status":{"error":{"step":"","code":"usage","message":"m","exit":2}},"end":true}"#;
    assert_eq!(serde_json::to_string(&Cluster::failed(&failure)).unwrap(), text);
}

#[test]
fn only_true_means_a_dry_run_and_only_true_means_planned() {
    let cluster = read(r#"{"name":"lab","status":{"dryRun":false,"image":{"pending":false}}}"#);
    assert!(!cluster.is_dry_run() && !cluster.is_planned::<crate::status::Image>() && !cluster.is_pending());
    let cluster = read(r#"{"name":"lab","status":{"dryRun":true,"image":{"pending":true}}}"#);
    assert!(cluster.is_dry_run() && cluster.is_planned::<crate::status::Image>() && cluster.is_pending());
}

#[test]
fn an_error_of_another_shape_than_ours_is_one_for_good() {
    let cluster = read(r#"{"name":"lab","status":{"error":"it broke"}}"#);
    let failure = cluster.error().unwrap();
    assert_eq!(
        (failure.exit, failure.is(Code::UnknownError), failure.message.as_str()),
        (Exit::Failed, true, "it broke")
    );
}

#[test]
fn what_was_put_in_inline_can_be_taken_out() {
    let mut cluster = read(r#"{"name":"lab","status":{"kubeconfig":{"context":"c","inline":"secret"}}}"#);
    cluster.hide_inline();
    let text = serde_json::to_string(&cluster).unwrap();
    assert!(text.contains(r#""context":"c""#) && !text.contains("secret"), "{text}");
}

#[test]
fn a_worse_error_takes_the_place_of_a_lesser_one_so_that_the_last_step_exits_by_it() {
    let mut cluster = Cluster::new("lab", Map::new(), Roster::default());
    for (exit, kept) in [
        (Exit::Unreachable, Exit::Unreachable),
        (Exit::Failed, Exit::Failed),
        (Exit::Guard, Exit::Guard),
        (Exit::NotAllowed, Exit::Guard),
        (Exit::Unreachable, Exit::Guard),
    ] {
        cluster.set_error(&Failure::new(exit, Code::Failed, "m"));
        assert_eq!(cluster.error().unwrap().exit, kept, "after {exit:?}");
    }
}
