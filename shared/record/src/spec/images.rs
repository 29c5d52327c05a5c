//! `spec.proxmox.images`: where the image goes, and how it gets there.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where the image goes, and how it gets there: a storage, or `{storage: local, via: upload}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct ImagesSpec {
    /// The storage.
    pub storage: String,
    /// The way.
    pub via: Via,
}

/// How an image gets onto a storage, and which one it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// The hosts download the disk image themselves.
    #[default]
    Download,
    /// The disk image is uploaded from the machine that runs talos-image.
    Upload,
    /// The hosts download an ISO, from which Talos installs itself to the disk.
    Iso,
}

impl Via {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Download, Self::Upload, Self::Iso];

    /// The word in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Upload => "upload",
            Self::Iso => "iso",
        }
    }

    /// The content of Proxmox VE that the storage must allow.
    #[must_use]
    pub fn content(self) -> &'static str {
        match self {
            Self::Download | Self::Upload => "import",
            Self::Iso => "iso",
        }
    }
}

impl std::fmt::Display for Via {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl TryFrom<Value> for ImagesSpec {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        const FORM: &str = "a storage as in local, or {storage: local, via: upload}";
        let wrong = |found: &Value| format!("proxmox.images: {found} is not {FORM}");
        let mut map = match value {
            Value::String(storage) if !storage.is_empty() => return Ok(Self { storage, via: Via::default() }),
            Value::Object(map) => map,
            other => return Err(wrong(&other)),
        };
        let storage = match map.remove("storage") {
            Some(Value::String(storage)) if !storage.is_empty() => storage,
            Some(other) => return Err(format!("proxmox.images.storage: {other} is not the name of a storage")),
            None => return Err(format!("proxmox.images.storage is missing: images is {FORM}")),
        };
        let via = match map.remove("via") {
            None => Via::default(),
            Some(word) => Via::ALL.into_iter().find(|via| word == via.as_str()).ok_or_else(|| {
                format!("proxmox.images.via: {word} is not a way for the image: download, upload or iso")
            })?,
        };
        match map.keys().next() {
            Some(key) => Err(format!("proxmox.images.{key}: unknown key; images has `storage` and `via`")),
            None => Ok(Self { storage, via }),
        }
    }
}

impl JsonSchema for ImagesSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ImagesSpec".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let via = generator.subschema_for::<Via>();
        json_schema!({
            "description": "Where the image goes, and how it gets there: a storage, or `{storage: local, via: upload}`.",
            "anyOf": [
                {"type": "string", "minLength": 1, "description": "The storage; the hosts download the image themselves."},
                {
                    "type": "object",
                    "required": ["storage"],
                    "additionalProperties": false,
                    "properties": {
                        "storage": {
                            "type": "string",
                            "minLength": 1,
                            "description": "The storage. It must allow content `import`; with `via: iso`, content `iso`."
                        },
                        "via": via
                    }
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<ImagesSpec, String> {
        ImagesSpec::try_from(value)
    }

    #[test]
    fn a_storage_alone_means_that_the_hosts_download() {
        let local = |via| Ok(ImagesSpec { storage: "local".into(), via });
        assert_eq!(read(json!("local")), local(Via::Download));
        assert_eq!(read(json!({"storage": "local"})), local(Via::Download));
        for via in Via::ALL {
            assert_eq!(read(json!({"storage": "local", "via": via.as_str()})), local(via));
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_what_may_stand_there() {
        for (value, message) in [
            (json!(7), "proxmox.images: 7 is not a storage as in local, or {storage: local, via: upload}"),
            (json!(""), "proxmox.images: \"\" is not a storage as in local, or {storage: local, via: upload}"),
            (
                json!({"via": "upload"}),
                "proxmox.images.storage is missing: images is a storage as in local, or {storage: local, via: upload}",
            ),
            (json!({"storage": 1}), "proxmox.images.storage: 1 is not the name of a storage"),
            (
                json!({"storage": "local", "via": "ftp"}),
                "proxmox.images.via: \"ftp\" is not a way for the image: download, upload or iso",
            ),
            (
                json!({"storage": "local", "way": "iso"}),
                "proxmox.images.way: unknown key; images has `storage` and `via`",
            ),
        ] {
            assert_eq!(read(value), Err(message.to_owned()));
        }
    }

    #[test]
    fn only_an_iso_needs_other_content_than_import() {
        assert_eq!(Via::ALL.map(Via::content), ["import", "import", "iso"]);
    }
}
