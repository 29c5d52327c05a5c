use std::time::{Duration, Instant};

use super::*;

fn shown(text: &str) -> String {
    Redaction::new().shown(text)
}

/// Made for this test; no cluster has it.
const TOKEN: &str = "q7h2mk.9zt3vx0w8k5n1b4c";
const KEY: &str = "Wm9vN2tQeFJ1c2hYdlR3OUtqTGJGZ0hZcVBzRGFNZUM=";
const PEM: &str = "-----BEGIN ED25519 PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1pUqk2Yt8GbYxkS0Hn0jv3rWQm7aPz5cE9LxT4uVfD\n-----END ED25519 PRIVATE KEY-----\n";

#[test]
fn the_diff_of_a_refusal_loses_its_secrets_and_stays_readable() {
    // The form is that of Talos 1.13.9 (seen there).
    let refusal = |old: &str, new: &str, crt: &str, key: &str| {
        let lines = [
            "this config change can't be applied in immediate mode\ndiff:\n--- a\n+++ b\n@@ -1,9 +1,9 @@",
            " version: v1alpha1\n machine:\n     type: controlplane",
            &format!("-    token: {old}\n+    token: {new}\n     ca:\n         crt: {crt}\n         key: {key}\n"),
        ];
        lines.join("\n")
    };
    let (crt, key) = (
        "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUI=",
        "LS0tLS1CRUdJTiBFRDI1NTE5IFBSSVZBVEUgS0VZLS0tLS0KTUM0Q0FRQXc=",
    );
    assert_eq!(shown(&refusal("hush.one", "hush two", crt, key)), refusal(REDACTED, REDACTED, REDACTED, REDACTED));
}

#[test]
fn values_of_secret_keys_are_hidden_in_every_layout() {
    for (text, expected) in [
        ("     passphrase: correct horse\n     slot: 0", "     passphrase: ******\n     slot: 0"),
        (
            "+  - passphrase: |\n+      correct\n+      horse\n+    slot: 0",
            "+  - passphrase: |\n+      ******\n+      ******\n+    slot: 0",
        ),
        ("   headers:\n     X-Key: hush\n   url: x", "   headers:\n     ******\n   url: x"),
        ("    content: |\n      hush\n    path: /etc/a", "    content: |\n      ******\n    path: /etc/a"),
        ("{crt: abc, token: hush, id: 1}", "{crt: abc, token: ******, id: 1}"),
        (r#"{"user":"a","password":"hu\"sh","x":1}"#, r#"{"user":"a","password":"******","x":1}"#),
        (r#"say "{\"token\":\"hush\",\"a\":1}""#, r#"say "{\"token\":\"******\",\"a\":1}""#),
        (
            r#"sent "type: worker\n    token: hush\n    ca: {}""#,
            r#"sent "type: worker\n    token: ******\n    ca: {}""#,
        ),
        ("can't run `mount -o password=hush,user=a`", "can't run `mount -o password=******,user=a`"),
        ("password = \"hush\"", "password = \"******\""),
        ("why: token: hush", "why: token: ******"),
        ("auth: aHVzaA==", "auth: ******"),
        ("GET https://a/b?x=1&token=hush failed", "GET https://a/b?x=1&token=****** failed"),
        ("proxy http://u:hush@proxy:3128/x", "proxy http://******@proxy:3128/x"),
    ] {
        assert_eq!(shown(text), expected);
    }
}

#[test]
fn what_looks_like_a_secret_is_hidden() {
    for (text, expected) in [
        (format!("join with {TOKEN}."), "join with ******."),
        (format!("no such key {KEY} here"), "no such key ****** here"),
        (format!("url {}", KEY.replace('=', "%3D")), "url ******"),
        ("Authorization: Bearer abc.def-123 was refused".to_owned(), "Authorization: Bearer ****** was refused"),
        ("authorization: Basic dTpodXNoaHVzaA==".to_owned(), "authorization: Basic ******"),
        ("with eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln now".to_owned(), "with ****** now"),
        ("PVEAPIToken=ichor@pve!ci=12345678-9abc-def0-1234-56789abcdef0".to_owned(), "PVEAPIToken=******"),
        ("for ichor@pve!ci=12345678-9abc-def0-1234-56789abcdef0".to_owned(), "for ichor@pve!ci=******"),
        (format!("a\n{PEM}b"), "a\n******\nb"),
    ] {
        assert_eq!(shown(&text), expected, "{text}");
    }
}

#[test]
fn ordinary_texts_stay() {
    for text in [
        "schematic 376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba",
        "factory.talos.dev/nocloud-installer/376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba:v1.13.9",
        "sha256:9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08",
        "sending the first config (certificate not verified; fingerprint XaLQIdV4dJkTwA7pK3bR2mNfYc9sUhGe6vZo1tWqEjI=)",
        "the node's certificate fingerprint is XaLQIdV4dJkTwA7pK3bR2mNfYc9sUhGe6vZo1tWqEjI=, expected YaLQIdV4dJkTwA7pK3bR2mNfYc9sUhGe6vZo1tWqEjI=",
        "AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89",
        "UUID 12345678-9abc-def0-1234-56789abcdef0, MAC BC:24:11:0A:0B:0C",
        "UPID:pve1:000F1A2B:0004C2D3:65A1B2C3:qmcreate:100:root@pam!ichor:",
        "/home/MaxMustermann1/Projects/Cluster2/lab/nodes/cp-1.yaml: no such file",
        "/home/MaxMustermann1/Cluster-aB3dE9/lab/.plan/w-1-0123456789ab.yaml",
        "talos-376567988ad370138ad8b2698212367b-v1.13.9-nocloud-amd64.qcow2",
        "local-lvm:vm-100-disk-2,discard=on,size=100G,ssd=1",
        "machine.token: must not be empty",
        "\t* cluster.secret: required",
        "secret: wrong",
        "the bootstrap token: expires tomorrow",
        "- key: node-role.kubernetes.io/control-plane",
        "automountServiceAccountToken: false",
        "tls-private-key: /etc/a.key",
        "publicKey: abc",
        "set PROXMOX_VE_API_TOKEN=USER@REALM!NAME=SECRET",
        "differs: ~ machine.token",
        "1 error occurred:\n\t* v1alpha1.Config: 4 errors occurred:\n\t* kubelet image is required\n\n",
        "failed to create etcd client: error building etcd client: context deadline exceeded",
        "server.kubernetesmaster",
        "worker.internalcluster1.lan",
        "CanonicalSELinuxSecurityContextConfigurationManagerFactory2",
        "Zürich → 東京: ключ",
    ] {
        assert_eq!(shown(text), text);
    }
}

/// Every encoding in which a value may travel.
fn encodings(value: &str) -> Vec<String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let json = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let reserved =
        value.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D").replace(' ', "%20").replace('\n', "%0A");
    vec![
        value.to_owned(),
        STANDARD.encode(value),
        URL_SAFE.encode(value),
        STANDARD.encode(format!("x{value}y")),
        STANDARD.encode(format!("xy{value}z")),
        hex.to_uppercase(),
        hex,
        json,
        reserved,
        percent.to_lowercase(),
    ]
}

#[test]
fn a_value_that_was_learned_is_hidden_in_every_encoding() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let base64_of_pem = STANDARD.encode(PEM);
    let words = "correct horse battery";
    let mut redaction = Redaction::new();
    [TOKEN, KEY, &base64_of_pem, words, "pw\"with\\quotes"].iter().for_each(|value| redaction.learn(value));

    for value in [TOKEN, KEY, &base64_of_pem, PEM, PEM.trim(), words, "pw\"with\\quotes"] {
        for form in encodings(value).into_iter().take(9) {
            let told = redaction.without_known(&format!("why <{form}> so"));
            assert!(!told.contains(&form) && told.contains(REDACTED), "{form} of {value} in {told}");
            assert!(told.starts_with("why <") && told.ends_with("> so"), "{told}");
        }
    }
    assert_eq!(redaction.without_known(&format!("cut {}", &TOKEN[..12])), "cut ******");
    let body = PEM.lines().nth(1).unwrap();
    let der: String = STANDARD.decode(body).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    for part in [body, &der] {
        assert_eq!(redaction.without_known(part), REDACTED);
    }
}

#[test]
fn what_could_be_an_ordinary_word_or_number_is_not_learned() {
    let mut redaction = Redaction::new();
    ["", "lab", "true", "12345678", "/etc/a.b", "$TOKEN_A"].iter().for_each(|value| redaction.learn(value));
    let text = "lab true 12345678 /etc/a.b $TOKEN_A";
    assert_eq!(redaction.shown(text), text);
}

#[test]
fn a_value_that_was_learned_is_not_shown_when_it_is_debugged() {
    let mut redaction = Redaction::new();
    redaction.learn(TOKEN);
    assert!(!format!("{redaction:?}").contains("9zt3"));
}

#[test]
fn the_time_for_a_text_grows_with_its_length_only() {
    let mut redaction = Redaction::new();
    [TOKEN, KEY, "LS0tLS1CLS0tLS1CLS0tLS1DLS0t"].iter().for_each(|value| redaction.learn(value));
    let size = 1 << 17;
    for part in [
        "token:",
        "token:/",
        "TOKEN=",
        "token: ",
        "token:\"",
        "token=1",
        "-----BEGIN ",
        "-----END ",
        "LS0tLS1C",
        "eyJ.",
        "bearer ",
        "Aa1",
        "/",
        "%2F",
        "abcdef.",
        "a=",
        "!a=",
        " ",
        "\n",
        "\\n",
        "-",
        "http://",
        "?",
        "password: |\n  x\n",
        "fingerprint ",
        "é",
    ] {
        let text = part.repeat(size / part.len());
        let begun = Instant::now();
        let told = redaction.shown(&text);
        assert!(begun.elapsed() < Duration::from_secs(20), "{part:?} took {:?}", begun.elapsed());
        assert!(told.len() <= 2 * text.len(), "{part:?}");
    }
}
