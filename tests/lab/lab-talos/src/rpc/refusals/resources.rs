//! Refusals of resources, and of upgrades where there is nothing to upgrade.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_refused_with_three_different_meanings_of_one_code() {
    use talos_proto::cosi::resource::{GetRequest, UpdateRequest, WatchOptions, WatchRequest};
    let s = Scene::set("127.72.3").await;
    let get = |namespace: &str, kind: &str, id: &str| GetRequest {
        namespace: namespace.to_owned(),
        r#type: kind.to_owned(),
        id: id.to_owned(),
        options: None,
    };
    let status = "MachineStatuses.runtime.talos.dev";
    refuses!(
        s,
        CP,
        "os:reader",
        "cosi.resource.State/Get",
        get("config", "MachineConfigs.config.talos.dev", "v1alpha1"),
        PermissionDenied,
        "not authorized"
    );
    refuses!(
        s,
        CP,
        ADMIN,
        "cosi.resource.State/Get",
        get("runtime", "X.talos.dev", "x"),
        PermissionDenied,
        "resource type \"X.talos.dev\" is not supported"
    );
    refuses!(
        s,
        CP,
        ADMIN,
        "cosi.resource.State/Get",
        get("nowhere", status, "x"),
        PermissionDenied,
        "namespace \"nowhere\" is not supported"
    );
    refuses!(
        s,
        CP,
        ADMIN,
        "cosi.resource.State/Get",
        get("runtime", status, "x"),
        NotFound,
        "resource MachineStatuses.runtime.talos.dev(runtime/x@undefined) doesn't exist"
    );
    refuses!(
        s,
        CP,
        ADMIN,
        "cosi.resource.State/Update",
        UpdateRequest::default(),
        PermissionDenied,
        "write access is not allowed"
    );
    let watch = WatchRequest {
        namespace: "runtime".to_owned(),
        r#type: status.to_owned(),
        id: Some("machine".to_owned()),
        options: Some(WatchOptions { bootstrap_contents: true, ..Default::default() }),
        api_version: 1,
    };
    let outcome = s.call(CP, ADMIN, "/cosi.resource.State/Watch", &watch).await;
    assert_eq!(outcome.expect_err("contents of one resource").code(), Code::Unimplemented);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_runs_from_an_iso_has_nothing_to_upgrade() {
    let s = Scene::set("127.72.4").await;
    let iso = lab_core::machine::Machine {
        iso: machine("x", "", "v1.13.9").image,
        image: None,
        ..machine("iso", "127.72.4.40", "v1.13.9")
    };
    s.talos.power_on(iso);
    assert!(s.talos.until(BOUND, |t| t.nodes().last().is_some_and(|n| n.stage() == Stage::Maintenance)).await);
    let caller = Caller { node: 6, roles: vec![ADMIN.to_owned()], maintenance: false };
    for (path, text) in [
        ("/machine.MachineService/Upgrade", "Talos is not installed"),
        ("/machine.LifecycleService/Upgrade", "machine is not installed"),
    ] {
        let Err(status) = call(&s.talos, &caller, path, &HeaderMap::new(), &[Bytes::new()]) else { panic!("{path}") };
        assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, text));
    }
}
