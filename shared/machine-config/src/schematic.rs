//! Image Factory schematics: canonical text and ID.
//!
//! The ID is the SHA-256 of the text that the factory's Go code would write. Nothing is sorted, deduplicated or
//! checked for existence: the order of extensions is part of the ID.

use sha2::{Digest, Sha256};

use crate::contract::{Contract, Gate};
use crate::decode;
use crate::schema::Type::{self, Bool, Free, List, Struct, Text, Word};
use crate::schema::{Schema, must, opt};
use go_yaml::{Data, Dialect, Map, Node, Value};

/// Why a schematic is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No YAML.
    #[error("the schematic isn't usable as YAML")]
    Yaml(#[from] go_yaml::Error),
    /// No schematic.
    #[error("the schematic doesn't fit")]
    Decode(#[from] decode::Error),
    /// Nothing at all.
    #[error("the schematic is empty")]
    Empty,
}

static SCHEMATIC: Schema = Schema::new(
    "schematic",
    &[opt("owner", Text), opt("overlay", Struct(&OVERLAY)), must("customization", Struct(&CUSTOMIZATION))],
);

static OVERLAY: Schema = Schema::new("overlay", &[must("image", Text), must("name", Text), opt("options", Free)]);

static CUSTOMIZATION: Schema = Schema::new(
    "customization",
    &[
        opt("embeddedMachineConfiguration", Text),
        opt("extraKernelArgs", List(&Text)),
        opt("meta", List(&Struct(&META))),
        opt("systemExtensions", Struct(&EXTENSIONS)),
        opt("bootloader", Word(&BOOTLOADERS)),
        opt("secureboot", Struct(&SECURE_BOOT)),
        opt("diskImage", Struct(&DISK_IMAGE)),
    ],
);

/// `none` is what nothing means, and is left out.
const BOOTLOADERS: [&str; 4] = ["none", "dual-boot", "sd-boot", "grub"];

static META: Schema = Schema::new("meta", &[must("key", Type::U8), must("value", Text)]);

static EXTENSIONS: Schema = Schema::new("systemExtensions", &[opt("officialExtensions", List(&Text))]);

static SECURE_BOOT: Schema =
    Schema::new("secureboot", &[opt("enrollKeys", Text), opt("includeWellKnownCertificates", Bool)]);

static DISK_IMAGE: Schema = Schema::new("diskImage", &[opt("sectorSize", Type::U64)]);

/// A schematic.
#[derive(Clone, Debug)]
pub struct Schematic {
    fields: Map,
}

impl Schematic {
    /// Reads the first document of a YAML or JSON text, as the factory does.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let documents = go_yaml::read(text)?;
        let mut first = documents.into_iter().next().ok_or(Error::Empty)?;
        if first.is_null() {
            return Ok(Self { fields: Map::new() });
        }
        lower_bootloader(&mut first);
        let mut fields = decode::document(&first, &SCHEMATIC, &[])?.fields;
        drop_default_bootloader(&mut fields);
        Ok(Self { fields })
    }

    /// Takes a JSON value, as it stands in a cluster file.
    pub fn from_json(value: &serde_json::Value) -> Result<Self, Error> {
        // JSON is YAML, and this way the numbers stay as they were written.
        Self::parse(&value.to_string())
    }

    /// The text whose digest is the ID.
    pub fn canonical(&self) -> String {
        let written = crate::encode::structure(&self.fields, &SCHEMATIC, Dialect::V4);
        go_yaml::write_for_digest(&Value::Map(written), Dialect::V4)
    }

    /// The ID: 64 hexadecimal digits.
    pub fn id(&self) -> String {
        hex(&Sha256::digest(self.canonical()))
    }

    /// The official extensions, in order.
    pub fn extensions(&self) -> Vec<&str> {
        let path = ["systemExtensions", "officialExtensions"];
        let list = self.fields.get("customization").and_then(|value| value.at(&path));
        let items = list.and_then(Value::as_list).unwrap_or_default();
        items.iter().filter_map(Value::as_text).collect()
    }
}

/// The reference of the installer that belongs to an image of the Image Factory.
///
/// `factory` is the factory's URL or host, `platform` is `nocloud` or `metal`, `version` has its `v`. Up to Talos 1.9
/// there was one installer for every platform.
pub fn installer(factory: &str, platform: &str, contract: Contract, schematic: &str, version: &str) -> String {
    let host = factory.split_once("://").map_or(factory, |(_, host)| host).trim_end_matches('/');
    let name =
        if contract.has(Gate::PlatformInstaller) { format!("{platform}-installer") } else { "installer".to_owned() };
    format!("{host}/{name}/{schematic}:{version}")
}

/// Bytes in small hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The factory takes the boot loader's name in any case.
fn lower_bootloader(node: &mut Node) {
    let Some(Data::Map(pairs)) = child(node, "customization").map(|node| &mut node.data) else {
        return;
    };
    for (_, value) in pairs.iter_mut().filter(|(key, _)| key.text == "bootloader") {
        if let Data::Scalar(scalar) = &mut value.data {
            scalar.text = scalar.text.to_ascii_lowercase();
        }
    }
}

fn child<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    match &mut node.data {
        Data::Map(pairs) => pairs.iter_mut().find(|(name, _)| name.text == key).map(|(_, node)| node),
        _ => None,
    }
}

fn drop_default_bootloader(fields: &mut Map) {
    let Some(customization) = fields.get_mut("customization").and_then(Value::as_map_mut) else {
        return;
    };
    if customization.get("bootloader").and_then(Value::as_text) == Some("none") {
        customization.remove("bootloader");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_schematic_has_the_id_that_everybody_knows() {
        let id = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";
        assert_eq!(Schematic::parse("{}").unwrap().id(), id);
    }

    #[test]
    fn the_installer_bears_the_platform_from_1_10_on() {
        let of = |version| {
            installer("https://factory.talos.dev/", "nocloud", Contract::parse(version).unwrap(), "ab", version)
        };
        assert_eq!(of("v1.13.9"), "factory.talos.dev/nocloud-installer/ab:v1.13.9");
        assert_eq!(of("v1.9.0"), "factory.talos.dev/installer/ab:v1.9.0");
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(Schematic::parse("customization: {extensions: []}").is_err());
        assert!(Schematic::parse("").is_err());
    }

    #[test]
    fn extensions_are_listed_in_their_order() {
        let text = "customization: {systemExtensions: {officialExtensions: [b/x, a/y]}}";
        assert_eq!(Schematic::parse(text).unwrap().extensions(), ["b/x", "a/y"]);
    }
}
