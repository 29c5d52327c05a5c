//! What a factory has beside images: PXE scripts, talosctl, bills of material, scans, and its keys.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::DecodePrivateKey;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::answer::World;
use super::catalog;
use super::exchange::{Answer, Ask};
use lab_core::disk_image::hex;

/// Where talosctl runs.
const PLATFORMS: &[&str] = &[
    "darwin-amd64",
    "darwin-arm64",
    "freebsd-amd64",
    "freebsd-arm64",
    "linux-amd64",
    "linux-arm64",
    "linux-armv7",
    "windows-amd64.exe",
    "windows-arm64.exe",
];

/// The keys of a factory, made when the first one is asked for.
struct Keys {
    signing: SigningKey,
    certificate: String,
    public: String,
    id: String,
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "Secure Boot of the lab");
        let certificate = params.self_signed(&key).expect("a certificate can be signed").pem();
        let public = key.public_key_pem();
        let id = hex(&Sha256::digest(&public));
        let secret = p256::SecretKey::from_pkcs8_der(&key.serialize_der()).expect("it was just made");
        Keys { signing: SigningKey::from(&secret), certificate, public, id }
    })
}

/// The minor of a version of Talos 1.
fn minor(version: &str) -> u32 {
    version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or_default()
}

/// A version that is in the list, with its `v`.
fn listed(text: &str) -> Result<String, Answer> {
    let version = catalog::version(text).ok_or_else(Answer::internal)?;
    match catalog::versions().contains(&version) {
        true => Ok(version),
        false => {
            let plain = version.trim_start_matches('v');
            Err(Answer::text(404, format!("version {plain} is not available")))
        }
    }
}

/// A version for a document that there is only from a minor on.
fn documented(text: &str, what: &str, from: u32) -> Result<String, Answer> {
    let with_v = if text.starts_with('v') { text.to_owned() } else { format!("v{text}") };
    let version = catalog::version(text);
    let version = version.ok_or_else(|| Answer::text(400, format!("invalid version format: {with_v:?}")))?;
    if minor(&version) < from {
        let text = format!("{what} are only available for Talos versions 1.{from}.0 and later");
        return Err(Answer::text(400, text));
    }
    Ok(version)
}

fn either(result: Result<Answer, Answer>) -> Answer {
    result.unwrap_or_else(|refusal| refusal)
}

fn file(content_type: &str, name: &str, body: impl Into<Vec<u8>>) -> Answer {
    let mut answer = Answer::new(200, content_type, body);
    answer.headers.push(("content-disposition", format!("attachment; filename=\"{name}\"")));
    answer
}

fn arch(text: &str) -> Result<&str, Answer> {
    match text {
        "amd64" | "arm64" => Ok(text),
        other => Err(Answer::text(400, format!("invalid architecture: {other:?}"))),
    }
}

/// Answers what is no image, schematic or list; `None` for what there is not.
pub(super) fn answer(world: &mut World, ask: &Ask<'_>, parts: &[&str]) -> Option<Answer> {
    let reads = matches!(ask.method, "GET" | "HEAD");
    let enterprise = world.mode.enterprise;
    Some(match parts {
        ["talosctl", version] if ask.method == "GET" => either(talosctl_list(ask.base, version)),
        ["talosctl", version, name] if reads => either(talosctl(version, name)),
        ["secureboot", "signing-cert.pem"] if ask.method == "GET" => {
            Answer::new(200, "application/x-pem-file", keys().certificate.clone())
        }
        ["oci", "cosign", "signing-key.pub"] if ask.method == "GET" => {
            Answer::new(200, "application/x-pem-file", keys().public.clone())
        }
        ["pxe", schematic, version, path] if ask.method == "GET" => either(pxe(world, ask, schematic, version, path)),
        ["spdx", schematic, version, arch] if reads && enterprise => either(spdx(world, ask, schematic, version, arch)),
        ["vex", version, "vex.json"] if reads && enterprise => either(vex(version)),
        ["scans", schematic, version, arch, report] if reads && enterprise => {
            either(scan(world, ask, (schematic, version, arch), report))
        }
        ["download-token"] if ask.method == "POST" && enterprise && world.users.any() => {
            let ttl = ask.query.get("ttl").map(String::as_str);
            match &ask.caller {
                Some(name) => world.users.issue(name, ttl),
                None => Answer::text(401, "authentication required"),
            }
        }
        [".well-known", "jwks.json"] if ask.method == "GET" && enterprise => {
            Answer::new(200, "application/json", format!("{}\n", json!({"keys": [public_key()]})))
        }
        _ => return None,
    })
}

/// The public key as JSON: its point without the byte for the encoding.
fn public_key() -> Value {
    let point = keys().signing.verifying_key().to_sec1_point(false);
    let (x, y) = point.as_bytes()[1..].split_at(32);
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let mut key = json!({"kid": keys().id, "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig"});
    (key["x"], key["y"]) = (text(x).into(), text(y).into());
    key
}

/// The signature of a file, as a Sigstore bundle with the key that `/oci/cosign/signing-key.pub` returns.
pub(super) fn signature(body: &[u8], name: &str) -> Answer {
    let signature: Signature = keys().signing.sign(body);
    let bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": keys().id}, "tlogEntries": []},
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": STANDARD.encode(Sha256::digest(body))},
            "signature": STANDARD.encode(signature.to_der()),
        },
    });
    let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
    file(kind, &format!("{name}.sigstore.json"), bundle.to_string())
}

fn talosctl_list(base: &str, version: &str) -> Result<Answer, Answer> {
    let version = listed(version)?;
    let names = PLATFORMS.iter().filter(|_| minor(&version) >= 11);
    let urls: Vec<String> = names.map(|name| format!("{base}/talosctl/{version}/talosctl-{name}")).collect();
    Ok(Answer::new(200, "application/json", format!("{}\n", json!(urls))))
}

/// A program of the lab's own: it prints what it stands for.
fn talosctl(version: &str, name: &str) -> Result<Answer, Answer> {
    let version = listed(version)?;
    let known = name.strip_prefix("talosctl-").is_some_and(|platform| PLATFORMS.contains(&platform));
    if !known || minor(&version) < 11 {
        return Err(Answer::internal());
    }
    let kind = if name.ends_with(".exe") { "application/x-msdownload" } else { "application/octet-stream" };
    Ok(file(kind, name, format!("#!/bin/sh\necho {name} {version} of the lab\n")))
}

/// The kernel's arguments on a platform, with those of the schematic.
pub(super) fn arguments(canonical: &str, platform: &str) -> String {
    let schematic: Value = serde_yaml::from_str(canonical).unwrap_or_default();
    let extra = schematic["customization"]["extraKernelArgs"].as_array().cloned().unwrap_or_default();
    let console = if platform == "nocloud" { " console=tty1 console=ttyS0 net.ifnames=0" } else { " console=tty0" };
    let mut line = format!("talos.platform={platform}{console} slab_nomerge= pti=on consoleblank=0 printk.devkmsg=on");
    for argument in extra.iter().filter_map(Value::as_str) {
        line = format!("{line} {argument}");
    }
    line
}

fn pxe(world: &mut World, ask: &Ask<'_>, schematic: &str, version: &str, path: &str) -> Result<Answer, Answer> {
    let canonical = world.readable(schematic, ask.caller.as_deref(), true)?;
    let version = catalog::version(version).ok_or_else(Answer::internal)?;
    let wrong =
        || Answer::text(400, format!("error parsing profile from path: invalid profile path: \"cmdline-{path}\""));
    let (stem, secure) = path.strip_suffix("-secureboot").map_or((path, false), |stem| (stem, true));
    let (platform, arch) = stem.rsplit_once('-').ok_or_else(wrong)?;
    let arch = match arch {
        "amd64" | "x86_64" | "i386" => "amd64",
        "arm64" => "arm64",
        _ => return Err(wrong()),
    };
    world.available(schematic, &version)?;
    let line = arguments(&canonical, platform);
    // Who boots by PXE shows the credentials that the script was asked for with.
    let base = match &ask.credentials {
        Some(credentials) => ask.base.replacen("://", &format!("://{credentials}@"), 1),
        None => ask.base.to_owned(),
    };
    let place = format!("{base}/image/{schematic}/{version}");
    let script = match secure {
        true => format!("#!ipxe\n\nimgfree\nkernel {place}/{platform}-{arch}-secureboot-uki.efi {line}\nboot\n"),
        false => format!(
            "#!ipxe\n\nimgfree\nkernel {place}/kernel-{arch} {line}\ninitrd {place}/initramfs-{arch}.xz\nboot\n"
        ),
    };
    Ok(Answer::new(200, "text/plain; charset=utf-8", script))
}

fn spdx(world: &mut World, ask: &Ask<'_>, schematic: &str, version: &str, cpu: &str) -> Result<Answer, Answer> {
    world.readable(schematic, ask.caller.as_deref(), true)?;
    let version = documented(version, "SPDX bundles", 11)?;
    let cpu = arch(cpu)?;
    let image = world.available(schematic, &version)?;
    let package = |name: &str| json!({"name": name, "SPDXID": format!("SPDXRef-{}", name.replace('/', "-")), "versionInfo": version});
    let packages: Vec<Value> = image.iter().map(|name| package(name)).chain([package("talos")]).collect();
    let body = json!({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("talos-{version}-{cpu}"), "documentNamespace": format!("{}/spdx/{schematic}/{version}/{cpu}", ask.base),
        "packages": packages,
    });
    Ok(file("application/spdx+json", &format!("{schematic}-{version}-{cpu}.spdx.json"), body.to_string()))
}

fn vex(version: &str) -> Result<Answer, Answer> {
    let version = documented(version, "VEX documents", 13)?;
    let body = json!({
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": format!("https://openvex.dev/docs/talos-{version}"),
        "author": "Sidero Labs", "version": 1, "statements": [],
    });
    Ok(file("application/json", &format!("{version}.vex.json"), body.to_string()))
}

fn scan(
    world: &mut World,
    ask: &Ask<'_>,
    (schematic, version, cpu): (&str, &str, &str),
    report: &str,
) -> Result<Answer, Answer> {
    world.readable(schematic, ask.caller.as_deref(), true)?;
    let version = documented(version, "scans", 13)?;
    let cpu = arch(cpu)?;
    let Some((_, ending)) = report.rsplit_once('.').filter(|(_, ending)| !ending.is_empty()) else {
        return Err(Answer::text(400, format!("missing report format extension in {report:?}")));
    };
    world.available(schematic, &version)?;
    let (kind, body) = match ending {
        "json" => ("application/json", json!({"matches": []}).to_string()),
        "table" => ("text/plain; charset=utf-8", "No vulnerabilities found\n".to_owned()),
        "sarif" => ("application/sarif+json", json!({"version": "2.1.0", "runs": []}).to_string()),
        "cdx" => ("application/vnd.cyclonedx+json", json!({"bomFormat": "CycloneDX", "components": []}).to_string()),
        other => return Err(Answer::text(400, format!("unknown report format: {other:?}"))),
    };
    Ok(file(kind, &format!("{schematic}-{version}-{cpu}-{report}"), body))
}
