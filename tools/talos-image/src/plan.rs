//! The wanted schematic, image and their names, from the spec alone. Pure.

use factory_client::{Extension, renamed};
use record::spec::{TalosSpec, Via};
use schematic::{Image, Spec, Wanted};

use crate::{args::Kind, error::Error};

/// Reads the spec; `variable` is the factory in the environment.
pub(crate) fn wanted(spec: &TalosSpec, variable: Option<&str>) -> Result<Wanted, Error> {
    let (schematic, factory) = (spec.schematic.as_ref(), spec.factory.as_deref());
    Ok(Wanted::read(Spec { version: &spec.version, schematic, factory }, variable)?)
}

/// The image of this schematic; `via` is the way to Proxmox VE, if it goes there.
pub(crate) fn image(wanted: &Wanted, schematic: &str, kind: &Kind, via: Option<Via>) -> Result<Image, Error> {
    let format = format(kind, via)?;
    Ok(Image {
        schematic: schematic.into(),
        version: wanted.version,
        platform: kind.platform.clone(),
        arch: kind.arch.clone(),
        format: format.parse()?,
        secureboot: kind.secureboot,
    })
}

/// The format of the image. The factory makes every one without compression, and Proxmox VE takes no other.
fn format(kind: &Kind, via: Option<Via>) -> Result<&str, Error> {
    let usable: &[&str] = match via {
        Some(Via::Iso) => &["iso"],
        Some(Via::Download | Via::Upload) => &["qcow2", "raw"],
        None => return Ok(kind.image_format.as_deref().unwrap_or("qcow2")),
    };
    match kind.image_format.as_deref() {
        None => Ok(usable[0]),
        Some(format) if usable.contains(&format) => Ok(format),
        Some(format) if via == Some(Via::Iso) => Err(Error::NotAnIso(format.into())),
        Some(format) => Err(Error::NotImportable(format.into())),
    }
}

/// The reference of the image's installer.
pub(crate) fn installer(wanted: &Wanted, image: &Image) -> String {
    wanted.factory.installer(&image.platform, &image.schematic, image.version, image.secureboot)
}

/// The first extension that the factory doesn't have for this version.
pub(crate) fn missing(wanted: &Wanted, known: &[Extension]) -> Option<Error> {
    let has = |name: &str| known.iter().any(|extension| extension.name == name);
    let exists = |name: &str| has(name) || renamed(name).is_some_and(|new| has(&new));
    let name = wanted.schematic.extensions().iter().find(|name| !exists(name))?;
    Some(Error::Extension { name: name.clone(), version: wanted.version.to_string(), like: like(name, known) })
}

/// The extension that was probably meant: the same name under another owner, or a name that contains the other.
fn like(name: &str, known: &[Extension]) -> Option<String> {
    let bare = name.rsplit('/').next().filter(|bare| bare.len() >= 3)?;
    let near = |extension: &&Extension| {
        let other = extension.name.rsplit('/').next().unwrap_or_default();
        other == bare || other.contains(bare) || (other.len() >= 3 && bare.contains(other))
    };
    known.iter().find(near).map(|extension| extension.name.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const AGENT: &str = "ce4c980550dd2ab1b17bbf2b08801c7eb59418eafe8f279833297925d67c7515";

    fn spec(schematic: Value) -> TalosSpec {
        TalosSpec { version: "v1.13.9".into(), schematic: Some(schematic), factory: None }
    }

    fn agent() -> Value {
        with_extension("siderolabs/qemu-guest-agent")
    }

    fn with_extension(name: &str) -> Value {
        json!({"customization": {"systemExtensions": {"officialExtensions": [name]}}})
    }

    fn kind(format: Option<&str>) -> Kind {
        let image_format = format.map(str::to_owned);
        Kind { platform: "nocloud".into(), arch: "amd64".into(), image_format, secureboot: false }
    }

    #[test]
    fn the_way_decides_the_format_and_proxmox_gets_none_that_it_can_not_use() {
        let of = |wanted: Option<&str>, via| match format(&kind(wanted), via) {
            Ok(format) => format.to_owned(),
            Err(error) => error.to_string(),
        };
        for (wanted, via, expected) in [
            (None, None, "qcow2"),
            (Some("raw.xz"), None, "raw.xz"),
            (None, Some(Via::Download), "qcow2"),
            (Some("raw"), Some(Via::Upload), "raw"),
            (None, Some(Via::Iso), "iso"),
            (Some("iso"), Some(Via::Iso), "iso"),
            (Some("iso"), Some(Via::Upload), "Proxmox VE imports qcow2 and raw images, not iso"),
            (Some("raw.xz"), Some(Via::Upload), "Proxmox VE imports qcow2 and raw images, not raw.xz"),
            (Some("qcow2"), Some(Via::Iso), "the cluster file says `via: iso`, and --image-format is qcow2"),
        ] {
            assert_eq!(of(wanted, via), expected, "{wanted:?} {via:?}");
        }
    }

    fn extension(name: &str) -> Extension {
        Extension { name: name.into(), reference: String::new(), description: String::new() }
    }

    #[test]
    fn unusable_values_are_refused_as_talos_gen_refuses_them() {
        for (talos, exit, code, message) in [
            (
                json!({"version": "v1.13.9", "schematic": {"id": "zzz"}}),
                8,
                "schematic",
                "\"zzz\" is not a schematic ID of 64 hexadecimal digits",
            ),
            (
                json!({"version": "v1.13.9", "factory": "https://proxy.lan/factory"}),
                2,
                "usage",
                "\"https://proxy.lan/factory\" is not the URL of an Image Factory, which is a scheme and a host",
            ),
            (json!({"version": "v1.13"}), 8, "version", "\"v1.13\" is not a full version like v1.13.9"),
        ] {
            let spec: TalosSpec = serde_json::from_value(talos).unwrap();
            let failure: record::Failure = wanted(&spec, None).unwrap_err().into();
            assert_eq!((failure.exit.code(), failure.code.as_str(), failure.message.as_str()), (exit, code, message));
        }
    }

    #[test]
    fn capitals_of_the_factory_mean_nothing() {
        let spec = TalosSpec { factory: Some("https://Factory.Talos.dev".into()), ..spec(agent()) };
        let kind = kind(None);
        let wanted = wanted(&spec, None).unwrap();
        let image = image(&wanted, AGENT, &kind, None).unwrap();
        assert_eq!(installer(&wanted, &image), format!("factory.talos.dev/nocloud-installer/{AGENT}:v1.13.9"));
    }

    #[test]
    fn an_unknown_extension_is_reported_with_a_suggestion() {
        let wanted = wanted(&spec(with_extension("siderolabs/guest-agent")), None).unwrap();
        let error = missing(&wanted, &[extension("siderolabs/qemu-guest-agent")]).unwrap();

        let Error::Extension { name, like, .. } = error else { panic!("{error:?}") };
        assert_eq!((name.as_str(), like.as_deref()), ("siderolabs/guest-agent", Some("siderolabs/qemu-guest-agent")));
    }

    #[test]
    fn an_extension_that_was_renamed_exists() {
        let wanted = wanted(&spec(with_extension("siderolabs/i915-ucode")), None).unwrap();

        assert!(missing(&wanted, &[extension("siderolabs/i915")]).is_none());
    }
}
