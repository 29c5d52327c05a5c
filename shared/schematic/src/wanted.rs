//! The one reader of `spec.talos`.

use serde_json::{Value, json};
use talos_releases::{BadVersion, Version};

use crate::{BadFactoryUrl, Error, FactoryUrl, Schematic, is_id};

/// The environment variable for the URL of the Image Factory, if the spec has none.
pub const FACTORY_VARIABLE: &str = "ICHOR_FACTORY";

/// `spec.talos` as written.
#[derive(Debug, Clone, Copy)]
pub struct Spec<'a> {
    /// `version`.
    pub version: &'a str,
    /// `schematic`: a whole schematic, or `{id: …}`.
    pub schematic: Option<&'a Value>,
    /// `factory`.
    pub factory: Option<&'a str>,
}

/// What `spec.talos` means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The URL of the Image Factory.
    pub factory: FactoryUrl,
    /// The Talos version.
    pub version: Version,
    /// The schematic.
    pub schematic: Source,
}

/// Where a schematic comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It is in the spec.
    Text {
        /// The text that the factory would write.
        canonical: String,
        /// The ID computed from it.
        id: String,
        /// Its official extensions, in order.
        extensions: Vec<String>,
    },
    /// Only its ID is known, not its content.
    Id(String),
}

/// Why `spec.talos` is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The version is missing.
    #[error("spec.talos.version is missing")]
    NoVersion,
    /// The version can't be used.
    #[error(transparent)]
    Version(#[from] BadVersion),
    /// The factory's URL can't be used.
    #[error(transparent)]
    Factory(#[from] BadFactoryUrl),
    /// The schematic can't be used.
    #[error("the schematic can't be used")]
    Schematic(#[from] Error),
    /// The schematic's ID can't be used.
    #[error("{0:?} is not a schematic ID of 64 hexadecimal digits")]
    Id(String),
}

/// A part of `spec.talos`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `version`.
    Version,
    /// `factory`, or the environment variable.
    Factory,
    /// `schematic`.
    Schematic,
}

impl SpecError {
    /// The part that is wrong.
    pub fn part(&self) -> Part {
        match self {
            Self::NoVersion | Self::Version(_) => Part::Version,
            Self::Factory(_) => Part::Factory,
            Self::Schematic(_) | Self::Id(_) => Part::Schematic,
        }
    }
}

impl Source {
    /// Reads `schematic`; if not set, it is one without extensions.
    fn read(value: Option<&Value>) -> Result<Self, SpecError> {
        let empty = json!({});
        let value = value.unwrap_or(&empty);
        if let Some(id) = value.get("id") {
            let text = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
            return if is_id(&text) { Ok(Self::Id(text)) } else { Err(SpecError::Id(text)) };
        }
        let schematic = Schematic::from_json(value)?;
        let extensions = schematic.extensions().into_iter().map(str::to_owned).collect();
        Ok(Self::Text { canonical: schematic.canonical(), id: schematic.id(), extensions })
    }

    /// The ID, as far as it is known without asking the factory.
    pub fn id(&self) -> &str {
        match self {
            Self::Text { id, .. } | Self::Id(id) => id,
        }
    }

    /// The official extensions, as far as they are known without asking the factory.
    pub fn extensions(&self) -> &[String] {
        match self {
            Self::Text { extensions, .. } => extensions,
            Self::Id(_) => &[],
        }
    }
}

impl Wanted {
    /// Reads `spec.talos`; `variable` is the value of [`FACTORY_VARIABLE`].
    ///
    /// # Errors
    /// The part that is wrong, and why.
    pub fn read(spec: Spec<'_>, variable: Option<&str>) -> Result<Self, SpecError> {
        if spec.version.is_empty() {
            return Err(SpecError::NoVersion);
        }
        let factory = spec.factory.or(variable).map(FactoryUrl::parse).transpose()?.unwrap_or_default();
        let schematic = Source::read(spec.schematic)?;
        Ok(Self { factory, version: spec.version.parse()?, schematic })
    }

    /// The reference of the installer for a platform: what a node is installed and upgraded from.
    pub fn installer(&self, platform: &str) -> String {
        self.factory.installer(platform, self.schematic.id(), self.version, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: &str = "ce4c980550dd2ab1b17bbf2b08801c7eb59418eafe8f279833297925d67c7515";

    fn read(schematic: &Value, factory: Option<&str>, variable: Option<&str>) -> Result<Wanted, SpecError> {
        Wanted::read(Spec { version: "v1.13.9", schematic: Some(schematic), factory }, variable)
    }

    #[test]
    fn a_schematic_in_the_spec_has_its_well_known_id() {
        let agent =
            json!({"customization": {"systemExtensions": {"officialExtensions": ["siderolabs/qemu-guest-agent"]}}});
        let wanted = read(&agent, None, None).unwrap();

        assert_eq!(wanted.schematic.id(), AGENT);
        assert_eq!(wanted.schematic.extensions(), ["siderolabs/qemu-guest-agent"]);
        assert_eq!(wanted.factory.to_string(), "https://factory.talos.dev");
        assert_eq!(wanted.installer("nocloud"), format!("factory.talos.dev/nocloud-installer/{AGENT}:v1.13.9"));
    }

    #[test]
    fn a_schematic_may_be_named_by_its_id() {
        let wanted = read(&json!({ "id": AGENT }), None, Some("http://127.0.0.1:8080")).unwrap();

        assert_eq!(wanted.schematic, Source::Id(AGENT.into()));
        assert_eq!(wanted.factory.to_string(), "http://127.0.0.1:8080");
        for id in [json!(7), json!("zzz"), json!(AGENT.to_uppercase())] {
            assert!(matches!(read(&json!({ "id": id }), None, None), Err(SpecError::Id(_))));
        }
    }

    #[test]
    fn the_spec_names_the_factory_before_the_environment_and_in_any_case() {
        let of = |text| read(&json!({}), Some(text), Some("https://elsewhere"));
        assert_eq!(of("https://Proxy.LAN/").unwrap().factory.to_string(), "https://proxy.lan");
        assert_eq!(of("https://proxy.lan/factory").unwrap_err().part(), Part::Factory);
    }

    #[test]
    fn a_version_is_whole() {
        for (version, error) in [("", SpecError::NoVersion), ("v1.13", SpecError::Version(BadVersion("v1.13".into())))]
        {
            let spec = Spec { version, schematic: None, factory: None };
            assert_eq!(Wanted::read(spec, None), Err(error));
        }
    }
}
