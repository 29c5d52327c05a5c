//! What is wanted: schematic, image and its names, from the spec and nothing else.

use factory_client::{Base, Extension, Image, Version, renamed};
use machine_config::schematic::Schematic;
use record::spec::TalosSpec;
use serde_json::{Value, json};

use crate::{args::Kind, error::Error};

/// The public factory.
const FACTORY: &str = "https://factory.talos.dev";

/// What is wanted of the factory.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) base: Base,
    pub(crate) version: Version,
    pub(crate) schematic: Source,
    /// The extensions in the schematic, in order; unknown for one that is named by its ID.
    pub(crate) extensions: Vec<String>,
}

/// Where a schematic comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// It is in the spec: the text that the factory would write, and the ID computed from it.
    Text { canonical: String, id: String },
    /// It is named by its ID.
    Id(String),
}

impl Source {
    /// The ID as far as it is known without asking.
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Text { id, .. } | Self::Id(id) => id,
        }
    }
}

impl Wanted {
    /// Reads the spec; `variable` is the factory in the environment.
    pub(crate) fn read(spec: &TalosSpec, variable: Option<String>) -> Result<Self, Error> {
        if spec.version.is_empty() {
            return Err(Error::NoVersion);
        }
        let base = spec.factory.clone().or(variable).unwrap_or_else(|| FACTORY.into());
        let (schematic, extensions) = schematic(spec.schematic.as_ref().unwrap_or(&json!({})))?;
        Ok(Self { base: Base::parse(&base)?, version: spec.version.parse()?, schematic, extensions })
    }

    /// The image of this schematic.
    pub(crate) fn image(&self, schematic: &str, kind: &Kind) -> Result<Image, Error> {
        Ok(Image {
            schematic: schematic.into(),
            version: self.version,
            platform: kind.platform.clone(),
            arch: kind.arch.clone(),
            format: kind.image_format.parse()?,
            secureboot: kind.secureboot,
        })
    }

    /// The reference of the installer that belongs to the image.
    pub(crate) fn installer(&self, image: &Image) -> String {
        self.base.installer(&image.platform, &image.schematic, self.version, image.secureboot)
    }

    /// The first extension that the factory doesn't have for this version.
    pub(crate) fn missing(&self, known: &[Extension]) -> Option<Error> {
        let has = |name: &str| known.iter().any(|extension| extension.name == name);
        let exists = |name: &str| has(name) || renamed(name).is_some_and(|new| has(&new));
        let name = self.extensions.iter().find(|name| !exists(name))?;
        Some(Error::Extension { name: name.clone(), version: self.version.to_string(), like: like(name, known) })
    }
}

fn schematic(value: &Value) -> Result<(Source, Vec<String>), Error> {
    if let Some(id) = value.get("id") {
        let text = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        return if is_id(&text) { Ok((Source::Id(text), Vec::new())) } else { Err(Error::SchematicId(text)) };
    }
    let schematic = Schematic::from_json(value)?;
    let extensions = schematic.extensions().into_iter().map(str::to_owned).collect();
    Ok((Source::Text { canonical: schematic.canonical(), id: schematic.id() }, extensions))
}

/// Whether this is the ID of a schematic.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The extension that was probably meant: of the same name under another owner, or one whose name holds the other.
fn like(name: &str, known: &[Extension]) -> Option<String> {
    let bare = name.rsplit('/').next().filter(|bare| bare.len() >= 3)?;
    let near = |extension: &&Extension| {
        let other = extension.name.rsplit('/').next().unwrap_or_default();
        other == bare || other.contains(bare) || (other.len() >= 3 && bare.contains(other))
    };
    known.iter().find(near).map(|extension| extension.name.clone())
}

/// The name of the image's file on a storage: one name, one content.
pub(crate) fn file(image: &Image) -> String {
    format!("talos-{}-{}-{}", image.version, image.schematic, image.file())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: &str = "ce4c980550dd2ab1b17bbf2b08801c7eb59418eafe8f279833297925d67c7515";

    fn spec(schematic: Value) -> TalosSpec {
        TalosSpec { version: "v1.13.9".into(), schematic: Some(schematic), factory: None }
    }

    fn agent() -> Value {
        json!({"customization": {"systemExtensions": {"officialExtensions": ["siderolabs/qemu-guest-agent"]}}})
    }

    fn extension(name: &str) -> Extension {
        Extension { name: name.into(), reference: String::new(), description: String::new() }
    }

    #[test]
    fn a_schematic_in_the_spec_has_its_well_known_id() {
        let wanted = Wanted::read(&spec(agent()), None).unwrap();

        assert_eq!(wanted.schematic.id(), AGENT);
        assert_eq!(wanted.extensions, ["siderolabs/qemu-guest-agent"]);
        assert_eq!(wanted.base.to_string(), "https://factory.talos.dev");
    }

    #[test]
    fn a_schematic_may_be_named_by_its_id() {
        let wanted = Wanted::read(&spec(json!({ "id": AGENT })), Some("http://127.0.0.1:8080".into())).unwrap();

        assert_eq!(wanted.schematic, Source::Id(AGENT.into()));
        assert_eq!(wanted.base.to_string(), "http://127.0.0.1:8080");
        assert!(matches!(Wanted::read(&spec(json!({"id": 7})), None), Err(Error::SchematicId(_))));
    }

    #[test]
    fn an_extension_that_does_not_exist_is_told_with_one_that_does() {
        let wanted = Wanted::read(
            &spec(json!({"customization": {"systemExtensions": {"officialExtensions": ["siderolabs/guest-agent"]}}})),
            None,
        );
        let error = wanted.unwrap().missing(&[extension("siderolabs/qemu-guest-agent")]).unwrap();

        let Error::Extension { name, like, .. } = error else { panic!("{error:?}") };
        assert_eq!((name.as_str(), like.as_deref()), ("siderolabs/guest-agent", Some("siderolabs/qemu-guest-agent")));
    }

    #[test]
    fn an_extension_that_was_renamed_exists() {
        let names = json!({"customization": {"systemExtensions": {"officialExtensions": ["siderolabs/i915-ucode"]}}});
        let wanted = Wanted::read(&spec(names), None).unwrap();

        assert!(wanted.missing(&[extension("siderolabs/i915")]).is_none());
    }

    #[test]
    fn the_file_on_the_storage_names_schematic_version_and_kind() {
        let kind =
            Kind { platform: "nocloud".into(), arch: "amd64".into(), image_format: "qcow2".into(), secureboot: false };
        let image = Wanted::read(&spec(agent()), None).unwrap().image(AGENT, &kind).unwrap();

        assert_eq!(file(&image), format!("talos-v1.13.9-{AGENT}-nocloud-amd64.qcow2"));
    }
}
