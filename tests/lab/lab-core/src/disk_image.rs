//! Disk images: what the factory makes and the hypervisor reads.
//!
//! An image of the lab is small but valid. Where a real one holds a boot loader, it holds a line of JSON that says
//! which Talos it is; the rest of the disk is unallocated.

mod partitioned;

use std::fmt;

pub use base16ct::lower::encode_string as hex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::machine::Image;
use crate::nocloud::{self, Seed};

/// Size in bytes of the disk inside a nocloud or metal image for amd64, from Talos 1.11 on.
pub const VIRTUAL_SIZE: u64 = 4_453_302_272;
/// Bytes of an image that are enough to know what it is.
const HEAD: usize = 256 * 1024;
const CLUSTER_BITS: u32 = 13;
const CLUSTER: usize = 1 << CLUSTER_BITS;
const QCOW2_MAGIC: &[u8] = b"QFI\xfb";
const ISO_DESCRIPTOR: usize = 16 * 2048;
const RAW_SIZE: usize = 1024 * 1024;

/// How an image is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// QEMU's copy-on-write format, version 3.
    Qcow2,
    /// The disk as it is.
    Raw,
    /// ISO 9660.
    Iso,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Qcow2 => "qcow2",
            Self::Raw => "raw",
            Self::Iso => "iso",
        })
    }
}

/// What is known of an image after reading it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Bytes in the file.
    pub size: u64,
    /// Lower-case hexadecimal SHA-256 of the file.
    pub sha256: String,
    /// Bytes of the disk inside.
    pub virtual_size: u64,
    /// How the file is stored, judged by its content.
    pub format: Format,
    /// The Talos inside, if this is an image of the lab.
    pub image: Option<Image>,
    /// What is on it, if it is a disc of NoCloud.
    pub seed: Option<Seed>,
}

impl Found {
    /// A file of which only the name and the size are known, without any Talos inside.
    pub fn unknown(file: &str, size: u64) -> Self {
        let format = match file.rsplit('.').next() {
            Some("qcow2") => Format::Qcow2,
            Some("iso") => Format::Iso,
            _ => Format::Raw,
        };
        Self { size, sha256: hex(&Sha256::digest(file)), virtual_size: size, format, image: None, seed: None }
    }
}

/// Reads an image as it streams by, in constant memory.
#[derive(Default)]
pub struct Reader {
    head: Vec<u8>,
    size: u64,
    digest: Sha256,
}

impl Reader {
    /// Takes the next bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        let room = HEAD.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        self.size += bytes.len() as u64;
        self.digest.update(bytes);
    }

    /// Says what the image was.
    pub fn finish(self) -> Found {
        let format = format_of(&self.head);
        let disk = match format {
            Format::Qcow2 => qcow2_start(&self.head).unwrap_or_default(),
            Format::Raw => partitioned::partition(&self.head),
            Format::Iso => &self.head,
        };
        Found {
            size: self.size,
            sha256: hex(&self.digest.finalize()),
            virtual_size: qcow2_size(&self.head).unwrap_or(self.size),
            format,
            image: marker(disk),
            seed: nocloud::read(&self.head),
        }
    }
}

/// Makes an image of the lab.
pub fn make(format: Format, image: &Image) -> Vec<u8> {
    let line = line(image);
    match format {
        Format::Qcow2 => qcow2(&line),
        Format::Raw => partitioned::disk(&line, RAW_SIZE),
        Format::Iso => iso(line),
    }
}

fn line(image: &Image) -> Vec<u8> {
    let value = serde_json::json!({
        "schematic": image.schematic,
        "version": image.version,
        "platform": image.platform,
        "extensions": image.extensions,
    });
    format!("{value}\n").into_bytes()
}

fn padded(mut bytes: Vec<u8>, size: usize) -> Vec<u8> {
    bytes.resize(size.max(bytes.len()), 0);
    bytes
}

/// The marker lies in the system area, which ISO 9660 leaves to boot loaders.
fn iso(line: Vec<u8>) -> Vec<u8> {
    let mut file = padded(line, ISO_DESCRIPTOR + 2 * 2048);
    file[ISO_DESCRIPTOR..ISO_DESCRIPTOR + 7].copy_from_slice(b"\x01CD001\x01");
    let end = ISO_DESCRIPTOR + 2048;
    file[end..end + 7].copy_from_slice(b"\xffCD001\x01");
    file
}

/// Clusters in order: header, refcount table, refcount block, L1 table, L2 table, then the data.
fn qcow2(line: &[u8]) -> Vec<u8> {
    let data = line.len().div_ceil(CLUSTER).max(1);
    let mut file = vec![0_u8; (5 + data) * CLUSTER];
    let l2_span = (CLUSTER / 8 * CLUSTER) as u64;
    let l1_entries = u32::try_from(VIRTUAL_SIZE.div_ceil(l2_span)).expect("a disk has few L2 tables");
    put(&mut file, 0, QCOW2_MAGIC);
    put(&mut file, 4, &3_u32.to_be_bytes());
    put(&mut file, 20, &CLUSTER_BITS.to_be_bytes());
    put(&mut file, 24, &VIRTUAL_SIZE.to_be_bytes());
    put(&mut file, 36, &l1_entries.to_be_bytes());
    put(&mut file, 40, &cluster(3).to_be_bytes());
    put(&mut file, 48, &cluster(1).to_be_bytes());
    put(&mut file, 56, &1_u32.to_be_bytes());
    put(&mut file, 96, &4_u32.to_be_bytes());
    put(&mut file, 100, &104_u32.to_be_bytes());
    put(&mut file, CLUSTER, &cluster(2).to_be_bytes());
    for used in 0..5 + data {
        put(&mut file, 2 * CLUSTER + 2 * used, &1_u16.to_be_bytes());
    }
    put(&mut file, 3 * CLUSTER, &(cluster(4) | COPIED).to_be_bytes());
    for index in 0..data {
        put(&mut file, 4 * CLUSTER + 8 * index, &(cluster(5 + index) | COPIED).to_be_bytes());
    }
    put(&mut file, 5 * CLUSTER, line);
    file
}

/// Set on tables and clusters that are referenced exactly once.
const COPIED: u64 = 1 << 63;
/// The bits of a table entry that hold an offset.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

fn cluster(index: usize) -> u64 {
    (index * CLUSTER) as u64
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn format_of(head: &[u8]) -> Format {
    if head.starts_with(QCOW2_MAGIC) {
        Format::Qcow2
    } else if head.get(ISO_DESCRIPTOR + 1..ISO_DESCRIPTOR + 6) == Some(b"CD001") {
        Format::Iso
    } else {
        Format::Raw
    }
}

fn qcow2_size(head: &[u8]) -> Option<u64> {
    head.starts_with(QCOW2_MAGIC).then(|| number(head, 24)).flatten()
}

/// The disk inside from its first cluster on, found through the tables as QEMU would.
///
/// The lab writes clusters in order, so what follows in the file follows on the disk.
fn qcow2_start(head: &[u8]) -> Option<&[u8]> {
    let l1 = usize::try_from(number(head, 40)?).ok()?;
    let l2 = usize::try_from(number(head, l1)? & OFFSET).ok()?;
    let data = usize::try_from(number(head, l2)? & OFFSET).ok()?;
    if data == 0 {
        return None;
    }
    head.get(data..)
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn marker(disk: &[u8]) -> Option<Image> {
    let end = disk.iter().position(|byte| *byte == b'\n')?;
    let value: Value = serde_json::from_slice(&disk[..end]).ok()?;
    let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
    let extensions = value.get("extensions")?.as_array()?;
    Some(Image {
        schematic: text("schematic")?,
        version: text("version")?,
        platform: text("platform")?,
        extensions: extensions.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        Image {
            schematic: "ab".repeat(32),
            version: "v1.13.9".to_owned(),
            platform: "nocloud".to_owned(),
            extensions: vec!["siderolabs/qemu-guest-agent".to_owned()],
        }
    }

    fn read(bytes: &[u8]) -> Found {
        let mut reader = Reader::default();
        for chunk in bytes.chunks(1000) {
            reader.write(chunk);
        }
        reader.finish()
    }

    #[test]
    fn every_format_says_which_talos_it_holds() {
        for format in [Format::Qcow2, Format::Raw, Format::Iso] {
            let found = read(&make(format, &image()));
            assert_eq!((found.format, found.image), (format, Some(image())));
        }
    }

    #[test]
    fn a_qcow2_image_tells_the_size_of_the_disk_inside() {
        let found = read(&make(Format::Qcow2, &image()));
        assert_eq!(found.virtual_size, VIRTUAL_SIZE);
        assert_eq!(found.size, 6 * CLUSTER as u64);
    }

    #[test]
    fn a_marker_longer_than_a_cluster_is_kept_whole() {
        let mut long = image();
        long.extensions = (0..1000).map(|n| format!("siderolabs/extension-{n}")).collect();
        let bytes = make(Format::Qcow2, &long);
        assert!(bytes.len() > 6 * CLUSTER);
        assert_eq!(read(&bytes).image, Some(long));
    }

    #[test]
    fn bytes_that_are_no_image_of_ours_are_a_raw_disk_without_talos() {
        let found = read(&[7; 5000]);
        assert_eq!((found.format, found.virtual_size, found.image), (Format::Raw, 5000, None));
    }
}
