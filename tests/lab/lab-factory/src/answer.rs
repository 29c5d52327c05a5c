//! What the factory answers; no I/O.

use std::collections::{BTreeMap, BTreeSet};

use schematic::Schematic;

use sha2::{Digest, Sha256, Sha512};

use super::access::{self, Users};
use super::catalog;
use super::exchange::{Answer, Ask};
use super::extras;
use super::mode::Mode;
use super::packing;
use super::profile::Profile;
use lab_core::disk_image;
use lab_core::machine::Image;

/// What the factory knows.
#[derive(Default)]
pub(crate) struct World {
    schematics: BTreeMap<String, Schematic>,
    /// How the factory is set up.
    pub(crate) mode: Mode,
    /// Its users, if it has any.
    pub(crate) users: Users,
    built: BTreeSet<String>,
    /// Images in the object store, by their paths.
    objects: BTreeMap<String, Vec<u8>>,
    /// Status and text of the next requests whose path holds a text.
    pub(crate) failures: Vec<(String, u16, String)>,
    /// Methods and paths so far.
    pub(crate) requests: Vec<(String, String)>,
}

impl World {
    /// Answers a request.
    pub(crate) fn answer(&mut self, mut ask: Ask<'_>) -> Answer {
        let (method, path) = (ask.method, ask.path);
        self.requests.push((method.to_owned(), path.to_owned()));
        if let Some(at) = self.failures.iter().position(|(part, ..)| path.contains(part.as_str())) {
            let (_, status, text) = self.failures.remove(at);
            return Answer::text(status, text);
        }
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        if self.mode.enterprise && self.users.any() {
            let token = ask.query.get("token").filter(|_| parts[0] == "image").map(String::as_str);
            ask.caller = self.users.identify(ask.authorization, token);
            ask.credentials = ask.caller.as_ref().and(ask.authorization).and_then(access::credentials);
            if ask.caller.is_none() && !access::is_public(&parts) {
                return access::unauthorized();
            }
        }
        self.routed(&ask, &parts)
    }

    fn routed(&mut self, ask: &Ask<'_>, parts: &[&str]) -> Answer {
        if let Some(answer) = extras::answer(self, ask, parts) {
            return answer;
        }
        match (ask.method, parts) {
            ("POST", ["schematics"]) => self.register(ask.body, ask.caller.as_deref()),
            (_, ["schematics"]) => Answer::not_allowed("OPTIONS, POST"),
            ("GET", ["schematics", id]) => self.schematic(id, ask.caller.as_deref()),
            ("GET", ["versions"]) if ask.query.get("broken").is_some_and(|broken| broken == "true") => {
                Answer::sniffed(&serde_json::json!([]))
            }
            ("GET", ["versions"]) => Answer::sniffed(&catalog::versions().into()),
            ("GET", ["version", version, "extensions", "official"]) => extensions(version),
            ("GET", ["version", version, "overlays", "official"]) => overlays(version),
            ("GET" | "HEAD", ["image", schematic, version, file]) => {
                match self.readable(schematic, ask.caller.as_deref(), false) {
                    Err(refusal) if matches!(refusal.status, 401 | 403) => refusal,
                    _ => self.image(ask.method, schematic, version, file),
                }
            }
            ("GET" | "HEAD", ["healthz" | "readyz"]) => Answer::new(200, "text/plain; charset=utf-8", ""),
            ("GET" | "HEAD", ["v2", ""] | ["v2"]) => Answer::new(200, "application/json", ""),
            (_, ["versions"] | ["schematics", _]) => Answer::not_allowed("GET, OPTIONS"),
            (_, ["version", _, "extensions" | "overlays", "official"]) => Answer::not_allowed("GET, OPTIONS"),
            (_, ["image", _, _, _]) => Answer::not_allowed("GET, HEAD, OPTIONS"),
            _ => Answer::text(404, "404 page not found"),
        }
    }

    /// The canonical text of a schematic that the caller may use.
    pub(super) fn readable(&self, id: &str, caller: Option<&str>, quotes: bool) -> Result<String, Answer> {
        let missing = || match quotes {
            true => Answer::text(404, format!("schematic ID \"{id}\" not found")),
            false => Answer::text(404, "schematic not found"),
        };
        let canonical = self.mode.written(&self.schematics.get(id).ok_or_else(missing)?.canonical());
        match (owner(&canonical), caller) {
            (own, caller) if own == caller => Ok(canonical),
            (Some(_), None) => Err(access::unauthorized()),
            _ => Err(access::denied()),
        }
    }

    /// The extensions of a schematic, if they can be had for a version.
    pub(super) fn available(&self, id: &str, version: &str) -> Result<Vec<String>, Answer> {
        let schematic = self.schematics.get(id).ok_or_else(|| Answer::text(404, "schematic not found"))?;
        extensions_of(schematic, version)
    }

    /// The canonical texts of all schematics by ID.
    pub(crate) fn schematics(&self) -> BTreeMap<String, String> {
        let written = |schematic: &Schematic| self.mode.written(&schematic.canonical());
        self.schematics.iter().map(|(id, schematic)| (id.clone(), written(schematic))).collect()
    }

    fn register(&mut self, body: &[u8], caller: Option<&str>) -> Answer {
        let text = String::from_utf8_lossy(body);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Answer::text(400, "EOF");
        }
        let schematic = match Schematic::parse(text) {
            Ok(schematic) => schematic,
            Err(error) => return Answer::text(400, format!("yaml: construct errors: {}", causes(&error))),
        };
        let own = owner(&schematic.canonical()).map(str::to_owned);
        let schematic = match (caller, own.as_deref()) {
            (Some(caller), Some(own)) if caller != own => return access::denied(),
            // What a user registers is the user's own, and so has another ID.
            (Some(caller), None) => {
                let owned = format!("owner: {caller}\n{}", schematic.canonical());
                Schematic::parse(&owned).unwrap_or(schematic)
            }
            _ => schematic,
        };
        let canonical = self.mode.written(&schematic.canonical());
        if canonical.starts_with("owner:") && !self.mode.enterprise {
            return Answer::text(400, "owner field is only supported in Enterprise edition");
        }
        let id = disk_image::hex(&Sha256::digest(&canonical));
        let reply = match self.mode.old {
            true => serde_json::json!({ "id": id }),
            false => serde_json::json!({"id": id, "schematic": canonical}),
        };
        self.schematics.insert(id, schematic);
        Answer::new(201, "application/json", format!("{reply}\n"))
    }

    fn schematic(&self, id: &str, caller: Option<&str>) -> Answer {
        match self.readable(id, caller, false) {
            Ok(canonical) => Answer::new(200, "application/yaml", canonical),
            Err(refusal) => refusal,
        }
    }

    fn image(&mut self, method: &str, id: &str, version: &str, file: &str) -> Answer {
        if let Some((file, kind)) = sidecar(file) {
            return self.beside(id, version, file, kind);
        }
        let Some(schematic) = self.schematics.get(id) else {
            return Answer::text(404, format!("schematic ID \"{id}\" not found"));
        };
        let Some(version) = catalog::version(version) else { return Answer::internal() };
        if let Some(part) = Part::parse(file) {
            let canonical = schematic.canonical();
            return match extensions_of(schematic, &version) {
                Ok(_) => part.serve(id, &version, file, &canonical),
                Err(refusal) => refusal,
            };
        }
        let Some(profile) = Profile::parse(file) else {
            let text = format!("error parsing profile from path: invalid profile path: \"{file}\"");
            return Answer::text(400, text);
        };
        match image(id, schematic, &version, &profile) {
            Ok(image) if method == "GET" && self.mode.redirects => self.redirect(&image, &profile, file),
            Ok(image) => self.serve(&image, &profile, file),
            Err(answer) => answer,
        }
    }

    /// What lies beside an image: only the Enterprise edition has it, and checks that before anything else.
    fn beside(&mut self, id: &str, version: &str, file: &str, kind: Sidecar) -> Answer {
        if !self.mode.enterprise {
            let what = if kind == Sidecar::Signature { "signature" } else { "checksum" };
            return Answer::text(402, format!("enterprise not enabled: {what} endpoint is not available"));
        }
        let answer = self.image("HEAD", id, version, file);
        if answer.status != 200 {
            return answer;
        }
        let digest = match kind {
            Sidecar::Sha256 => disk_image::hex(&Sha256::digest(&answer.body)),
            Sidecar::Sha512 => disk_image::hex(&Sha512::digest(&answer.body)),
            Sidecar::Signature => return Answer { built: answer.built, ..extras::signature(&answer.body, file) },
        };
        Answer { built: answer.built, ..Answer::new(200, "text/plain; charset=utf-8", format!("{digest}  {file}\n")) }
    }

    /// Sends the caller to the object store, to a place that is good for one hour and for GET alone.
    fn redirect(&mut self, image: &Image, profile: &Profile, file: &str) -> Answer {
        let served = self.serve(image, profile, file);
        let place = format!("/objects/{}/{}/{file}", image.schematic, image.version);
        let signature = &disk_image::hex(&Sha256::digest(&place))[..16];
        let location = format!("{place}?X-Amz-Expires=3600&X-Amz-Signature={signature}");
        self.objects.insert(place, served.body);
        Answer { status: 302, headers: vec![("location", location)], body: Vec::new(), built: served.built }
    }

    /// The object store: whole objects, or a part of one.
    pub(crate) fn object(&self, method: &str, path: &str, range: Option<&str>) -> Answer {
        let Some(body) = self.objects.get(path) else { return Answer::text(404, "NoSuchKey") };
        if method != "GET" {
            return Answer::text(403, "SignatureDoesNotMatch");
        }
        let tag = format!("\"{}\"", &disk_image::hex(&Sha256::digest(body))[..32]);
        let part = range.and_then(|range| part(range, body.len()));
        let (status, body, span) = match part {
            Some((first, last)) => {
                (206, body[first..=last].to_vec(), Some(format!("bytes {first}-{last}/{}", body.len())))
            }
            None => (200, body.clone(), None),
        };
        let mut answer = Answer::new(status, "application/octet-stream", body);
        answer.headers.extend([("etag", tag), ("accept-ranges", "bytes".to_owned())]);
        answer.headers.extend(span.map(|span| ("content-range", span)));
        answer
    }

    fn serve(&mut self, image: &Image, profile: &Profile, file: &str) -> Answer {
        let bytes = packing::pack(disk_image::make(profile.format, image), profile.packing);
        let mut answer = Answer::new(200, profile.content_type(), bytes);
        answer.headers.push(("content-disposition", format!("attachment; filename=\"{file}\"")));
        answer.built = self.built.insert(format!("{}/{}/{file}", image.schematic, image.version));
        answer
    }
}

/// What may lie beside an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sidecar {
    Sha256,
    Sha512,
    Signature,
}

fn sidecar(file: &str) -> Option<(&str, Sidecar)> {
    let kinds = [(".sha256", Sidecar::Sha256), (".sha512", Sidecar::Sha512), (".sigstore.json", Sidecar::Signature)];
    kinds.into_iter().find_map(|(ending, kind)| Some((file.strip_suffix(ending)?, kind)))
}

/// First and last byte of `bytes=10-` or `bytes=10-19`.
fn part(range: &str, size: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let first: usize = first.parse().ok()?;
    let last = last.parse().unwrap_or(size).min(size.checked_sub(1)?);
    (first <= last).then_some((first, last))
}

/// The owner that a canonical text names.
fn owner(canonical: &str) -> Option<&str> {
    canonical.lines().next().and_then(|line| line.strip_prefix("owner: ")).map(|name| name.trim_matches(['\'', '"']))
}

/// What an image consists of, by itself.
struct Part {
    kind: &'static str,
    platform: String,
}

impl Part {
    /// Reads `kernel-amd64`, `initramfs-amd64.xz`, `cmdline-nocloud-amd64` and `nocloud-amd64-uki.efi`.
    fn parse(file: &str) -> Option<Self> {
        let cpu = |text: &str| matches!(text, "amd64" | "arm64");
        let plain = |kind, rest: &str| cpu(rest).then(|| Self { kind, platform: "metal".to_owned() });
        if let Some(rest) = file.strip_prefix("kernel-") {
            return plain("kernel", rest);
        }
        if let Some(rest) = file.strip_prefix("initramfs-") {
            return plain("initramfs", rest.strip_suffix(".xz")?);
        }
        let (kind, rest) = match file.strip_prefix("cmdline-") {
            Some(rest) => ("cmdline", rest),
            None => ("uki", file.strip_suffix("-uki.efi")?),
        };
        let rest = rest.strip_suffix("-secureboot").unwrap_or(rest);
        let (platform, arch) = rest.rsplit_once('-')?;
        (cpu(arch) && !platform.is_empty()).then(|| Self { kind, platform: platform.to_owned() })
    }

    /// The command line itself; for the others a text that names what they stand for.
    fn serve(&self, id: &str, version: &str, file: &str, canonical: &str) -> Answer {
        let (kind, body) = match self.kind {
            "cmdline" => ("application/octet-stream", extras::arguments(canonical, &self.platform)),
            "initramfs" => ("application/x-xz", format!("initramfs of Talos {version}, schematic {id}\n")),
            "uki" => ("application/efi", format!("UKI of Talos {version} for {}, schematic {id}\n", self.platform)),
            _ => ("application/octet-stream", format!("kernel of Talos {version}\n")),
        };
        let mut answer = Answer::new(200, kind, body);
        answer.headers.push(("content-disposition", format!("attachment; filename=\"{file}\"")));
        answer
    }
}

/// The extensions of a schematic under their present names, or why one of them cannot be had.
fn extensions_of(schematic: &Schematic, version: &str) -> Result<Vec<String>, Answer> {
    if !catalog::versions().iter().any(|known| known == version) {
        return Err(Answer::text(404, format!("version {version} is not available")));
    }
    let found = |name: &&str| {
        catalog::extension(name).map(str::to_owned).ok_or_else(|| {
            let what = format!("official extension \"{name}\" is not available for Talos version {version}");
            Answer::text(400, format!("error enhancing profile from schematic: {what}"))
        })
    };
    schematic.extensions().iter().map(found).collect()
}

/// The image, or why it cannot be built.
fn image(id: &str, schematic: &Schematic, version: &str, profile: &Profile) -> Result<Image, Answer> {
    let extensions = extensions_of(schematic, version)?;
    Ok(Image { schematic: id.to_owned(), version: version.to_owned(), platform: profile.platform.clone(), extensions })
}

fn overlays(version: &str) -> Answer {
    match catalog::version(version) {
        None => Answer::internal(),
        // There were none before 1.7, and nobody looks whether there was such a version.
        Some(version)
            if version.split('.').nth(1).and_then(|minor| minor.parse().ok()).is_some_and(|minor: u32| minor < 7) =>
        {
            Answer::sniffed(&serde_json::json!([]))
        }
        Some(version) if catalog::versions().contains(&version) => Answer::sniffed(&catalog::overlays(&version)),
        Some(version) => Answer::text(404, format!("version {} is not available", version.trim_start_matches('v'))),
    }
}

fn extensions(version: &str) -> Answer {
    match catalog::version(version) {
        None => Answer::internal(),
        Some(version) if catalog::versions().contains(&version) => Answer::sniffed(&catalog::extensions(&version)),
        Some(version) => Answer::text(404, format!("version {} is not available", version.trim_start_matches('v'))),
    }
}

/// An error with its causes on one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
