//! The factory's answers, without the network between.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::answer::World;
use super::exchange::{Answer, Ask};
use lab_core::disk_image;

impl World {
    fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.answer(Ask::new(method, path, body))
    }
}

const AGENT: &str = "ce4c980550dd2ab1b17bbf2b08801c7eb59418eafe8f279833297925d67c7515";

fn registered() -> World {
    let mut world = World::default();
    let body = b"customization: {systemExtensions: {officialExtensions: [siderolabs/qemu-guest-agent]}}";
    let answer = world.ask("POST", "/schematics", body);
    assert_eq!(answer.status, 201);
    assert!(String::from_utf8_lossy(&answer.body).contains(AGENT));
    world
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).trim_end().to_owned()
}

#[test]
fn refusals_come_in_the_order_of_the_real_checks() {
    let mut world = registered();
    let cases = [
        ("x/v1.5/nope.sha256".to_owned(), 402, "enterprise not enabled: checksum endpoint is not available"),
        ("x/v1.5/nope".to_owned(), 404, "schematic ID \"x\" not found"),
        (format!("{AGENT}/v1.5/nope"), 500, "internal server error"),
        (
            format!("{AGENT}/v1.13.9/metal-amd64.ssd"),
            400,
            "error parsing profile from path: invalid profile path: \"metal-amd64.ssd\"",
        ),
        (format!("{AGENT}/v1.13.99/metal-amd64.iso"), 404, "version v1.13.99 is not available"),
    ];
    for (path, status, message) in cases {
        let answer = world.ask("GET", &format!("/image/{path}"), b"");
        assert_eq!((answer.status, text(&answer).as_str()), (status, message));
    }
}

#[test]
fn an_unknown_extension_is_found_out_when_an_image_is_asked_for() {
    let mut world = World::default();
    let body = b"customization: {systemExtensions: {officialExtensions: [siderolabs/x]}}";
    let reply: serde_json::Value = serde_json::from_slice(&world.ask("POST", "/schematics", body).body).unwrap();
    let id = reply["id"].as_str().unwrap();
    let answer = world.ask("HEAD", &format!("/image/{id}/v1.13.9/nocloud-amd64.qcow2"), b"");
    assert_eq!(answer.status, 400);
    assert!(text(&answer).contains("\"siderolabs/x\" is not available for Talos version v1.13.9"));
}

#[test]
fn an_image_is_built_once_and_holds_its_extensions() {
    let mut world = registered();
    let path = format!("/image/{AGENT}/1.13.9/nocloud-amd64.qcow2");
    assert!(world.ask("HEAD", &path, b"").built);
    let answer = world.ask("GET", &path, b"");
    assert!(!answer.built);
    let mut reader = disk_image::Reader::default();
    reader.write(&answer.body);
    let image = reader.finish().image.unwrap();
    assert_eq!((image.version.as_str(), image.extensions.len()), ("v1.13.9", 1));
}

#[test]
fn a_redirecting_factory_sends_get_to_the_store_and_answers_head_itself() {
    let mut world = registered();
    world.mode.redirects = true;
    let path = format!("/image/{AGENT}/v1.13.9/nocloud-amd64.qcow2");
    let (head, get) = (world.ask("HEAD", &path, b""), world.ask("GET", &path, b""));
    assert_eq!((head.status, get.status), (200, 302));
    let location = get.headers.iter().find(|(name, _)| *name == "location").unwrap().1.clone();
    let place = location.split('?').next().unwrap();
    assert_eq!(world.object("HEAD", place, None).status, 403);
    let rest = world.object("GET", place, Some("bytes=10-"));
    assert_eq!((rest.status, &rest.body[..]), (206, &head.body[10..]));
    assert_eq!(world.object("GET", place, None).body, head.body);
}

#[test]
fn the_enterprise_edition_has_checksums_and_an_old_factory_other_ids() {
    let mut world = registered();
    world.mode.enterprise = true;
    let path = format!("/image/{AGENT}/v1.13.9/nocloud-amd64.qcow2");
    let image = world.ask("GET", &path, b"").body;
    let line = text(&world.ask("GET", &format!("{path}.sha256"), b""));
    assert_eq!(line, format!("{}  nocloud-amd64.qcow2", disk_image::hex(&Sha256::digest(&image))));
    let body = b"customization: {meta: [{key: 10, value: 'yes'}]}";
    let mut id = |old: bool| {
        world.mode.old = old;
        let reply: serde_json::Value = serde_json::from_slice(&world.ask("POST", "/schematics", body).body).unwrap();
        (reply["id"].clone(), reply.get("schematic").is_some())
    };
    let (new, old) = (id(false), id(true));
    assert!(new.0 != old.0 && new.1 && !old.1, "{new:?} {old:?}");
}

#[test]
fn a_body_without_anything_is_refused_as_the_end_of_the_file() {
    let mut world = World::default();
    for body in ["", "# nothing\n"] {
        assert_eq!(text(&world.ask("POST", "/schematics", body.as_bytes())), "EOF");
    }
    assert_eq!(world.ask("POST", "/schematics", b"{}").status, 201);
    assert_eq!(world.ask("POST", "/schematics", b"something: 1").status, 400);
}

fn basic(name: &str, password: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}")))
}

#[test]
fn an_enterprise_factory_with_users_keeps_their_schematics_apart() {
    let mut world = World::default();
    world.mode.enterprise = true;
    world.users.add("ann", "a");
    world.users.add("bob", "b");
    let mut asked =
        |method, path: &str, body: &[u8], who: Option<&str>| world.answer(Ask::new(method, path, body).by(who));
    let (ann, bob, wrong) = (basic("ann", "a"), basic("bob", "b"), basic("bob", "a"));
    let refused = asked("POST", "/schematics", b"{}", None);
    assert_eq!((refused.status, text(&refused).as_str()), (401, "authentication required to access this schematic"));
    assert!(refused.headers.iter().any(|(name, _)| *name == "www-authenticate"));
    assert_eq!(asked("POST", "/schematics", b"{}", Some(&wrong)).status, 401);
    assert_eq!(asked("GET", "/versions", b"", None).status, 200, "lists are public");
    let reply: serde_json::Value =
        serde_json::from_slice(&asked("POST", "/schematics", b"{}", Some(&ann)).body).unwrap();
    assert_eq!(reply["schematic"], "owner: ann\ncustomization: {}\n");
    let path = format!("/schematics/{}", reply["id"].as_str().unwrap());
    let image = format!("/image/{}/v1.13.9/nocloud-amd64.qcow2", reply["id"].as_str().unwrap());
    assert_eq!(asked("GET", &path, b"", Some(&ann)).status, 200);
    for place in [&path, &image] {
        let denied = asked("GET", place, b"", Some(&bob));
        assert_eq!((denied.status, text(&denied).as_str()), (403, "access denied"), "{place}");
    }
    assert_eq!(asked("POST", "/schematics", b"{owner: ann, customization: {}}", Some(&bob)).status, 403);
    let token: serde_json::Value =
        serde_json::from_slice(&asked("POST", "/download-token", b"", Some(&ann)).body).unwrap();
    let query = BTreeMap::from([("token".to_owned(), token["access_token"].as_str().unwrap().to_owned())]);
    assert_eq!(token["expires_in"], 300);
    assert_eq!(world.answer(Ask::new("GET", &image, b"").at("http://factory", query)).status, 200);
}

#[test]
fn what_lies_beside_images_is_there_in_the_edition_that_has_it() {
    let mut world = registered();
    let script = text(&world.ask("GET", &format!("/pxe/{AGENT}/1.13.9/nocloud-amd64"), b""));
    let place = format!("http://factory/image/{AGENT}/v1.13.9");
    assert!(
        script.starts_with(&format!("#!ipxe\n\nimgfree\nkernel {place}/kernel-amd64 talos.platform=nocloud")),
        "{script}"
    );
    assert!(script.ends_with(&format!("initrd {place}/initramfs-amd64.xz\nboot")), "{script}");
    assert_eq!(world.ask("GET", &format!("/image/{AGENT}/v1.13.9/initramfs-amd64.xz"), b"").status, 200);
    let tools = text(&world.ask("GET", "/talosctl/v1.13.9", b""));
    assert!(tools.contains("\"http://factory/talosctl/v1.13.9/talosctl-linux-amd64\""), "{tools}");
    assert_eq!(text(&world.ask("GET", "/talosctl/v1.10.1", b"")), "[]");
    assert_eq!(world.ask("GET", "/talosctl/v1.13.9/talosctl-plan9-amd64", b"").status, 500);
    assert!(text(&world.ask("GET", "/version/v1.13.9/overlays/official", b"")).contains("rpi_generic"));
    assert_eq!(text(&world.ask("GET", "/version/v1.6.0/overlays/official", b"")), "[]");
    assert!(text(&world.ask("GET", "/secureboot/signing-cert.pem", b"")).starts_with("-----BEGIN CERTIFICATE-----"));
    let documents = [
        (format!("/spdx/{AGENT}/v1.13.9/amd64"), 200, "SPDX-2.3"),
        (
            format!("/spdx/{AGENT}/v1.10.0/amd64"),
            400,
            "SPDX bundles are only available for Talos versions 1.11.0 and later",
        ),
        (format!("/spdx/{AGENT}/v1.13.9/sparc"), 400, "invalid architecture: \"sparc\""),
        ("/vex/v1.13.9/vex.json".to_owned(), 200, "openvex"),
        ("/vex/x/vex.json".to_owned(), 400, "invalid version format: \"vx\""),
        (format!("/scans/{AGENT}/v1.13.9/amd64/report.sarif"), 200, "2.1.0"),
        (format!("/scans/{AGENT}/v1.13.9/amd64/report"), 400, "missing report format extension in \"report\""),
    ];
    for (path, ..) in &documents {
        assert_eq!(world.ask("GET", path, b"").status, 404, "the community edition has no {path}");
    }
    world.mode.enterprise = true;
    for (path, status, part) in &documents {
        let answer = world.ask("GET", path, b"");
        assert!(answer.status == *status && text(&answer).contains(part), "{path}: {}", text(&answer));
    }
}

#[test]
fn a_signature_is_one_of_the_key_that_the_factory_tells() {
    use base64::Engine as _;
    use p256::ecdsa::signature::Verifier;
    use p256::pkcs8::DecodePublicKey;
    let mut world = registered();
    world.mode.enterprise = true;
    let path = format!("/image/{AGENT}/v1.13.9/nocloud-amd64.qcow2");
    let image = world.ask("GET", &path, b"").body;
    let bundle: serde_json::Value =
        serde_json::from_slice(&world.ask("GET", &format!("{path}.sigstore.json"), b"").body).unwrap();
    let signature = bundle["messageSignature"]["signature"].as_str().unwrap();
    let signature = base64::engine::general_purpose::STANDARD.decode(signature).unwrap();
    let pem = text(&world.ask("GET", "/oci/cosign/signing-key.pub", b""));
    let key = p256::ecdsa::VerifyingKey::from_public_key_pem(&pem).unwrap();
    let signature = p256::ecdsa::Signature::from_der(&signature).unwrap();
    assert!(key.verify(&image, &signature).is_ok());
    assert!(key.verify(b"something else", &signature).is_err());
    let listed: serde_json::Value =
        serde_json::from_slice(&world.ask("GET", "/.well-known/jwks.json", b"").body).unwrap();
    let part = |name: &str| {
        let text = listed["keys"][0][name].as_str().unwrap();
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
    };
    assert_eq!(key.to_sec1_point(false).as_bytes()[1..], [part("x"), part("y")].concat());
}
