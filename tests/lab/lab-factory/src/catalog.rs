//! What the factory has: versions of Talos and official extensions.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use lab_core::disk_image::hex;

/// Last patch release of each minor.
const MINORS: &[(u32, u32)] = &[(9, 6), (10, 9), (11, 9), (12, 11), (13, 9), (14, 6)];
/// Pre-releases of the newest minor.
const NEWEST: &[&str] = &["v1.15.0-alpha.0", "v1.15.0-alpha.1", "v1.15.0-beta.0", "v1.15.0-beta.1"];

const EXTENSIONS: &[&str] = &[
    "siderolabs/amd-ucode",
    "siderolabs/amdgpu",
    "siderolabs/bnx2-bnx2x",
    "siderolabs/btrfs",
    "siderolabs/crun",
    "siderolabs/drbd",
    "siderolabs/ecr-credential-provider",
    "siderolabs/fuse3",
    "siderolabs/gasket-driver",
    "siderolabs/glibc",
    "siderolabs/gvisor",
    "siderolabs/hello-world-service",
    "siderolabs/i915",
    "siderolabs/intel-ice-firmware",
    "siderolabs/intel-ucode",
    "siderolabs/iscsi-tools",
    "siderolabs/kata-containers",
    "siderolabs/lldpd",
    "siderolabs/mdadm",
    "siderolabs/mei",
    "siderolabs/nfsd",
    "siderolabs/nut-client",
    "siderolabs/nvidia-container-toolkit-lts",
    "siderolabs/nvidia-open-gpu-kernel-modules-lts",
    "siderolabs/nvme-cli",
    "siderolabs/qemu-guest-agent",
    "siderolabs/realtek-firmware",
    "siderolabs/spin",
    "siderolabs/stargz-snapshotter",
    "siderolabs/tailscale",
    "siderolabs/thunderbolt",
    "siderolabs/usb-modem-drivers",
    "siderolabs/util-linux-tools",
    "siderolabs/v4l-uvc-drivers",
    "siderolabs/vmtoolsd-guest-agent",
    "siderolabs/wasmedge",
    "siderolabs/xen-guest-agent",
    "siderolabs/youki",
    "siderolabs/zfs",
];

/// Older names that are still understood when an image is built.
const ALIASES: &[(&str, &str)] = &[
    ("siderolabs/v4l-uvc", "siderolabs/v4l-uvc-drivers"),
    ("siderolabs/usb-modem", "siderolabs/usb-modem-drivers"),
    ("siderolabs/gasket", "siderolabs/gasket-driver"),
    ("siderolabs/talos-vmtoolsd", "siderolabs/vmtoolsd-guest-agent"),
    ("siderolabs/xe-guest-utilities", "siderolabs/xen-guest-agent"),
    ("siderolabs/nvidia-container-toolkit", "siderolabs/nvidia-container-toolkit-lts"),
    ("siderolabs/nvidia-open-gpu-kernel-modules", "siderolabs/nvidia-open-gpu-kernel-modules-lts"),
    ("siderolabs/i915-ucode", "siderolabs/i915"),
    ("siderolabs/amdgpu-firmware", "siderolabs/amdgpu"),
];

/// Every version, ascending.
pub(crate) fn versions() -> Vec<String> {
    let stable = MINORS.iter().flat_map(|(minor, last)| (0..=*last).map(move |patch| format!("v1.{minor}.{patch}")));
    stable.chain(NEWEST.iter().map(|version| (*version).to_owned())).collect()
}

/// Reads a version with or without its `v`; gives it with.
pub(crate) fn version(text: &str) -> Option<String> {
    let plain = text.strip_prefix('v').unwrap_or(text);
    let (numbers, _) = plain.split_once('-').unwrap_or((plain, ""));
    let parts: Vec<&str> = numbers.split('.').collect();
    let number = |part: &&str| part.parse::<u32>().is_ok() && (*part == "0" || !part.starts_with('0'));
    (parts.len() == 3 && parts.iter().all(number)).then(|| format!("v{plain}"))
}

/// The official extensions of a version.
pub(crate) fn extensions(version: &str) -> Value {
    let one = |name: &&str| {
        let digest = hex(&Sha256::digest(format!("{name}:{version}")));
        let tag = version.trim_start_matches('v');
        json!({
            "name": name, "ref": format!("ghcr.io/{name}:{tag}"), "digest": format!("sha256:{digest}"),
            "author": "Sidero Labs", "description": format!("[core] The {name} system extension for Talos."),
        })
    };
    EXTENSIONS.iter().map(one).collect()
}

/// Overlays for boards: name and image.
const OVERLAYS: &[(&str, &str)] = &[
    ("rpi_generic", "siderolabs/sbc-raspberrypi"),
    ("bananapi_m64", "siderolabs/sbc-allwinner"),
    ("libretech_all_h3_cc_h5", "siderolabs/sbc-allwinner"),
    ("pine64", "siderolabs/sbc-allwinner"),
    ("jetson_nano", "siderolabs/sbc-jetson"),
    ("helios64", "siderolabs/sbc-rockchip"),
    ("nanopi-r4s", "siderolabs/sbc-rockchip"),
    ("nanopi-r5s", "siderolabs/sbc-rockchip"),
    ("orangepi-5", "siderolabs/sbc-rockchip"),
    ("orangepi-r1-plus-lts", "siderolabs/sbc-rockchip"),
    ("rock4cplus", "siderolabs/sbc-rockchip"),
    ("rock4se", "siderolabs/sbc-rockchip"),
    ("rock5a", "siderolabs/sbc-rockchip"),
    ("rock5b", "siderolabs/sbc-rockchip"),
    ("rock64", "siderolabs/sbc-rockchip"),
    ("rockpi4", "siderolabs/sbc-rockchip"),
    ("rockpi4c", "siderolabs/sbc-rockchip"),
    ("turingrk1", "siderolabs/sbc-rockchip"),
];

/// The official overlays of a version.
pub(crate) fn overlays(version: &str) -> Value {
    let one = |(name, image): &(&str, &str)| {
        let digest = hex(&Sha256::digest(format!("{image}:{version}")));
        let reference = format!("ghcr.io/{image}:{version}");
        json!({"name": name, "image": image, "ref": reference, "digest": format!("sha256:{digest}")})
    };
    OVERLAYS.iter().map(one).collect()
}

/// The present name of an extension, if there is such an extension.
pub(crate) fn extension(name: &str) -> Option<&'static str> {
    let name = ALIASES.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| *new);
    EXTENSIONS.iter().find(|known| **known == name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_strictly_with_an_optional_v() {
        assert_eq!(version("1.13.9").as_deref(), Some("v1.13.9"));
        assert_eq!(version("v1.14.0-alpha.1").as_deref(), Some("v1.14.0-alpha.1"));
        for wrong in ["v1.5", "latest", "foo", "v1.05.1", "v1.2.3.4"] {
            assert_eq!(version(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_list_holds_the_versions_that_people_use() {
        let versions = versions();
        for known in ["v1.12.11", "v1.13.9", "v1.14.0", "v1.14.6", "v1.15.0-beta.1"] {
            assert!(versions.contains(&known.to_owned()), "{known}");
        }
        assert!(!versions.iter().any(|version| version == "v1.15.0"));
    }
}
