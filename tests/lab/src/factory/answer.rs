//! What the factory answers; no I/O.

use std::collections::{BTreeMap, BTreeSet};

use machine_config::schematic::Schematic;

use sha2::{Digest, Sha256, Sha512};

use super::catalog;
use super::mode::Mode;
use super::packing;
use super::profile::Profile;
use crate::disk_image;
use crate::machine::Image;

/// What the factory knows.
#[derive(Default)]
pub(crate) struct World {
    schematics: BTreeMap<String, Schematic>,
    /// How the factory is set up.
    pub(crate) mode: Mode,
    built: BTreeSet<String>,
    /// Images in the object store, by their paths.
    objects: BTreeMap<String, Vec<u8>>,
    /// Status and text of the next requests whose path holds a text.
    pub(crate) failures: Vec<(String, u16, String)>,
    /// Methods and paths so far.
    pub(crate) requests: Vec<(String, String)>,
}

/// An answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Status.
    pub(crate) status: u16,
    /// Headers beside those that every answer has.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Body, which a HEAD request gets only the length of.
    pub(crate) body: Vec<u8>,
    /// Whether an image had to be built first.
    pub(crate) built: bool,
}

impl Answer {
    fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body: body.into(), built: false }
    }

    fn text(status: u16, text: impl AsRef<str>) -> Self {
        let mut answer = Self::new(status, "text/plain; charset=utf-8", format!("{}\n", text.as_ref()));
        answer.headers.push(("x-content-type-options", "nosniff".to_owned()));
        answer
    }

    /// JSON whose type the handler does not set, so that Go takes it for text.
    fn sniffed(value: &serde_json::Value) -> Self {
        Self::new(200, "text/plain; charset=utf-8", format!("{value}\n"))
    }

    fn internal() -> Self {
        Self::text(500, "internal server error")
    }

    fn not_allowed(allowed: &str) -> Self {
        let mut answer = Self::text(405, "Method Not Allowed");
        answer.headers.push(("allow", allowed.to_owned()));
        answer
    }
}

impl World {
    /// Answers a request.
    pub(crate) fn answer(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.requests.push((method.to_owned(), path.to_owned()));
        if let Some(at) = self.failures.iter().position(|(part, ..)| path.contains(part.as_str())) {
            let (_, status, text) = self.failures.remove(at);
            return Answer::text(status, text);
        }
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (method, parts.as_slice()) {
            ("POST", ["schematics"]) => self.register(body),
            (_, ["schematics"]) => Answer::not_allowed("OPTIONS, POST"),
            ("GET", ["schematics", id]) => self.schematic(id),
            ("GET", ["versions"]) => Answer::sniffed(&catalog::versions().into()),
            ("GET", ["version", version, "extensions", "official"]) => extensions(version),
            ("GET", ["version", _, "overlays", "official"]) => Answer::sniffed(&serde_json::json!([])),
            ("GET" | "HEAD", ["image", schematic, version, file]) => self.image(method, schematic, version, file),
            ("GET" | "HEAD", ["healthz" | "readyz"]) => Answer::new(200, "text/plain; charset=utf-8", ""),
            ("GET" | "HEAD", ["v2", ""] | ["v2"]) => Answer::new(200, "application/json", ""),
            (_, ["versions"] | ["schematics", _]) => Answer::not_allowed("GET, OPTIONS"),
            (_, ["version", _, "extensions" | "overlays", "official"]) => Answer::not_allowed("GET, OPTIONS"),
            (_, ["image", _, _, _]) => Answer::not_allowed("GET, HEAD, OPTIONS"),
            _ => Answer::text(404, "404 page not found"),
        }
    }

    /// The canonical texts of all schematics by ID.
    pub(crate) fn schematics(&self) -> BTreeMap<String, String> {
        let written = |schematic: &Schematic| self.mode.written(&schematic.canonical());
        self.schematics.iter().map(|(id, schematic)| (id.clone(), written(schematic))).collect()
    }

    fn register(&mut self, body: &[u8]) -> Answer {
        let text = String::from_utf8_lossy(body);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Answer::text(400, "EOF");
        }
        let schematic = match Schematic::parse(text) {
            Ok(schematic) => schematic,
            Err(error) => return Answer::text(400, format!("yaml: construct errors: {}", causes(&error))),
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

    fn schematic(&self, id: &str) -> Answer {
        match self.schematics.get(id) {
            Some(schematic) => Answer::new(200, "application/yaml", self.mode.written(&schematic.canonical())),
            None => Answer::text(404, "schematic not found"),
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

    /// What lies beside an image: only the Enterprise edition has it, and says so before it looks at anything else.
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
            Sidecar::Signature => return Answer::text(404, "signing is not configured"),
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

/// The image, or why it cannot be built.
fn image(id: &str, schematic: &Schematic, version: &str, profile: &Profile) -> Result<Image, Answer> {
    if !catalog::versions().iter().any(|known| known == version) {
        return Err(Answer::text(404, format!("version {version} is not available")));
    }
    let mut extensions = Vec::new();
    for name in schematic.extensions() {
        let found = catalog::extension(name).ok_or_else(|| {
            let what = format!("official extension \"{name}\" is not available for Talos version {version}");
            Answer::text(400, format!("error enhancing profile from schematic: {what}"))
        })?;
        extensions.push(found.to_owned());
    }
    Ok(Image { schematic: id.to_owned(), version: version.to_owned(), platform: profile.platform.clone(), extensions })
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

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: &str = "ce4c980550dd2ab1b17bbf2b08801c7eb59418eafe8f279833297925d67c7515";

    fn registered() -> World {
        let mut world = World::default();
        let body = b"customization: {systemExtensions: {officialExtensions: [siderolabs/qemu-guest-agent]}}";
        let answer = world.answer("POST", "/schematics", body);
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
            let answer = world.answer("GET", &format!("/image/{path}"), b"");
            assert_eq!((answer.status, text(&answer).as_str()), (status, message));
        }
    }

    #[test]
    fn an_unknown_extension_is_found_out_when_an_image_is_asked_for() {
        let mut world = World::default();
        let body = b"customization: {systemExtensions: {officialExtensions: [siderolabs/x]}}";
        let reply: serde_json::Value = serde_json::from_slice(&world.answer("POST", "/schematics", body).body).unwrap();
        let id = reply["id"].as_str().unwrap();
        let answer = world.answer("HEAD", &format!("/image/{id}/v1.13.9/nocloud-amd64.qcow2"), b"");
        assert_eq!(answer.status, 400);
        assert!(text(&answer).contains("\"siderolabs/x\" is not available for Talos version v1.13.9"));
    }

    #[test]
    fn an_image_is_built_once_and_holds_its_extensions() {
        let mut world = registered();
        let path = format!("/image/{AGENT}/1.13.9/nocloud-amd64.qcow2");
        assert!(world.answer("HEAD", &path, b"").built);
        let answer = world.answer("GET", &path, b"");
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
        let (head, get) = (world.answer("HEAD", &path, b""), world.answer("GET", &path, b""));
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
        let image = world.answer("GET", &path, b"").body;
        let line = text(&world.answer("GET", &format!("{path}.sha256"), b""));
        assert_eq!(line, format!("{}  nocloud-amd64.qcow2", disk_image::hex(&Sha256::digest(&image))));
        let body = b"customization: {meta: [{key: 10, value: 'yes'}]}";
        let mut id = |old: bool| {
            world.mode.old = old;
            let reply: serde_json::Value =
                serde_json::from_slice(&world.answer("POST", "/schematics", body).body).unwrap();
            (reply["id"].clone(), reply.get("schematic").is_some())
        };
        let (new, old) = (id(false), id(true));
        assert!(new.0 != old.0 && new.1 && !old.1, "{new:?} {old:?}");
    }

    #[test]
    fn a_body_without_anything_is_refused_as_the_end_of_the_file() {
        let mut world = World::default();
        for body in ["", "# nothing\n"] {
            assert_eq!(text(&world.answer("POST", "/schematics", body.as_bytes())), "EOF");
        }
        assert_eq!(world.answer("POST", "/schematics", b"{}").status, 201);
        assert_eq!(world.answer("POST", "/schematics", b"something: 1").status, 400);
    }
}
