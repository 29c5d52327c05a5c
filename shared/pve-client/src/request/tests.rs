//! Calls and replies as data.

use super::*;

fn reply(status: u16, content_type: &str, body: &str) -> Reply {
    Reply { status, content_type: Some(content_type.into()), body: body.into(), ..Reply::default() }
}

fn foreign(reply: &Reply) -> String {
    match version().read(reply) {
        Err(Fault::Foreign(what)) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn parameters_of_a_post_are_a_form_and_semicolons_are_encoded() {
    let request = create("pve1", 100, vec![("boot".into(), "order=scsi0;ide2".into())]);

    assert_eq!(request.target(), "/nodes/pve1/qemu");
    assert_eq!(request.body().as_deref(), Some("vmid=100&boot=order%3Dscsi0%3Bide2"));
}

#[test]
fn a_delete_has_its_parameters_in_the_query_and_no_body() {
    let request = destroy("pve1", 100, true);

    assert_eq!((request.target().as_str(), request.body()), ("/nodes/pve1/qemu/100?purge=1", None));
}

#[test]
fn names_in_the_path_are_encoded() {
    let upid = Upid::parse("UPID:pve1:000073B7:0002752E:6B044D6D:qmcreate:100:talos@pve!cli:").unwrap();

    let path = "/nodes/pve1/tasks/UPID%3Apve1%3A000073B7%3A0002752E%3A6B044D6D%3Aqmcreate%3A100%3Atalos%40pve%21cli%3A";
    assert_eq!(task(&upid).target(), format!("{path}/status"));
}

#[test]
fn the_message_is_read_from_the_body_and_else_from_the_reason() {
    let mut unauthorized = reply(401, "", "");
    unauthorized.reason = Some("No ticket".into());
    let Err(Fault::Refused(refusal)) = version().read(&unauthorized) else { panic!("a refusal") };
    assert_eq!((refusal.kind, refusal.message.as_str()), (crate::Kind::Unauthorized, "No ticket"));

    let locked = reply(500, "application/json", r#"{"data":null,"message":"VM is locked (create)\n"}"#);
    let Err(Fault::Refused(refusal)) = version().read(&locked) else { panic!("a refusal") };
    assert_eq!((refusal.kind, refusal.message.as_str()), (crate::Kind::Locked, "VM is locked (create)"));
}

#[test]
fn servers_that_are_not_proxmox_are_described() {
    assert_eq!(foreign(&reply(200, "text/html; charset=utf-8", "<html>")), "it returned text/html");
    assert_eq!(foreign(&reply(404, "text/plain", "404 page not found")), "it returned status 404");
    assert_eq!(foreign(&reply(200, "application/json", r#"{"ok":true}"#)), "its JSON has no `data`");
    let mut moved = reply(301, "text/html", "");
    moved.location = Some("https://pve.lan/".into());
    assert_eq!(foreign(&moved), "it redirects to https://pve.lan/");
}

#[test]
fn a_config_change_may_be_done_before_the_reply() {
    let request = set_config("pve1", 100, Some("abc"), vec![("cores".into(), "4".into())]);

    assert_eq!(request.body().as_deref(), Some("cores=4&digest=abc"));
    assert_eq!(request.read(&reply(200, "application/json", r#"{"data":null}"#)).unwrap(), None);
}
