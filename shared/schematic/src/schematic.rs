//! Image Factory schematics: canonical text and ID.
//!
//! The ID is the SHA-256 of the text that the factory's Go code would write. Nothing is sorted, deduplicated or
//! checked for existence: the order of extensions is part of the ID.

use go_yaml::{Map, Value};
use sha2::{Digest, Sha256};

use crate::read::Type::{Bool, Free, List, Number, Struct, Text, Word};
use crate::read::{Field, Unfit, must, opt, read, written};

/// Why a schematic is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not YAML.
    #[error("the schematic isn't usable as YAML")]
    Yaml(#[from] go_yaml::Error),
    /// Not a schematic.
    #[error("the schematic is invalid")]
    Unfit(#[from] Unfit),
    /// An empty document.
    #[error("the schematic is empty")]
    Empty,
}

static SCHEMATIC: &[Field] =
    &[opt("owner", Text), opt("overlay", Struct(OVERLAY)), must("customization", Struct(CUSTOMIZATION))];

static OVERLAY: &[Field] = &[must("image", Text), must("name", Text), opt("options", Free)];

static CUSTOMIZATION: &[Field] = &[
    opt("embeddedMachineConfiguration", Text),
    opt("extraKernelArgs", List(&Text)),
    opt("meta", List(&Struct(META))),
    opt("systemExtensions", Struct(EXTENSIONS)),
    opt("bootloader", Word(&BOOTLOADERS)),
    opt("secureboot", Struct(SECURE_BOOT)),
    opt("diskImage", Struct(DISK_IMAGE)),
];

/// The factory accepts them in any case; an empty text means `none`.
const BOOTLOADERS: [&str; 4] = ["none", "dual-boot", "sd-boot", "grub"];

static META: &[Field] = &[must("key", Number(u8::MAX as u64)), must("value", Text)];

static EXTENSIONS: &[Field] = &[opt("officialExtensions", List(&Text))];

static SECURE_BOOT: &[Field] = &[opt("enrollKeys", Text), opt("includeWellKnownCertificates", Bool)];

static DISK_IMAGE: &[Field] = &[opt("sectorSize", Number(u64::MAX))];

/// A schematic.
#[derive(Clone, Debug)]
pub struct Schematic {
    fields: Map,
}

impl Schematic {
    /// Reads the first document of a YAML or JSON text, as the factory does.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let documents = go_yaml::read(text)?;
        let first = documents.into_iter().next().ok_or(Error::Empty)?;
        if first.is_null() {
            return Ok(Self { fields: Map::new() });
        }
        Ok(Self { fields: read(&first, SCHEMATIC, "")? })
    }

    /// Reads a JSON value, as a cluster file has it.
    pub fn from_json(value: &serde_json::Value) -> Result<Self, Error> {
        // JSON is YAML, and this way the numbers stay as they were written.
        Self::parse(&value.to_string())
    }

    /// The text whose digest is the ID.
    pub fn canonical(&self) -> String {
        written(&self.fields, SCHEMATIC)
    }

    /// The ID: 64 hexadecimal digits.
    pub fn id(&self) -> String {
        base16ct::lower::encode_string(&Sha256::digest(self.canonical()))
    }

    /// The official extensions, in order.
    pub fn extensions(&self) -> Vec<&str> {
        let path = ["systemExtensions", "officialExtensions"];
        let list = self.fields.get("customization").and_then(|value| value.at(&path));
        let items = list.and_then(Value::as_list).unwrap_or_default();
        items.iter().filter_map(Value::as_text).collect()
    }
}

/// Whether this is the ID of a schematic.
pub fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
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
    fn unknown_keys_are_refused() {
        assert!(Schematic::parse("customization: {extensions: []}").is_err());
        assert!(Schematic::parse("").is_err());
    }

    #[test]
    fn a_boot_loader_is_read_in_any_case_and_none_is_nothing() {
        let canonical = |word: &str| {
            Schematic::parse(&format!("customization: {{bootloader: {word}}}")).map(|schematic| schematic.canonical())
        };
        assert_eq!(canonical("Sd-Boot").unwrap(), "customization:\n    bootloader: sd-boot\n");
        assert_eq!(canonical("NONE").unwrap(), "customization: {}\n");
        assert!(canonical("auto").is_err() && canonical("''").is_err());
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        for (text, said) in [
            ("customization: {meta: [{key: -1, value: x}]}", "customization.meta[0].key must be a whole number from 0"),
            ("customization: {extraKernelArgs: a}", "customization.extraKernelArgs must be a sequence, not \"a\""),
            ("customization: {extensions: []}", "line 1, column 17: unknown key \"extensions\" in customization"),
            ("a: {<<: {b: c}}", "unknown key \"a\""),
            ("overlay: {image: a, name: b, options: c}", "overlay.options must be a mapping"),
            ("[]", "must be a mapping, not a sequence"),
        ] {
            let error = Schematic::parse(text).unwrap_err();
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains(said), "{text}: {source}");
        }
    }

    #[test]
    fn extensions_are_listed_in_their_order() {
        let text = "customization: {systemExtensions: {officialExtensions: [b/x, a/y]}}";
        assert_eq!(Schematic::parse(text).unwrap().extensions(), ["b/x", "a/y"]);
    }
}
