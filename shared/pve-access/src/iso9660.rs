//! Small images of ISO 9660 with the names of Rock Ridge, in a fixed layout: a few files in the root, and nothing else.
//!
//! Rock Ridge is what Proxmox VE's own cloud-init drives have, so whoever reads these reads ours. The same files make the same bytes:
//! nothing in an image says when it was made.

/// Bytes of a sector.
const SECTOR: usize = 2048;
/// Where the volume is described; what is before it is left to boot loaders.
const VOLUME: usize = 16;
const TERMINATOR: usize = VOLUME + 1;
/// The table of folders, in the byte order of small machines, and in the other.
const TABLE: [usize; 2] = [TERMINATOR + 1, TERMINATOR + 2];
const ROOT: usize = TABLE[1] + 1;
/// What didn't fit into the entry of the root.
const EXTENSION: usize = ROOT + 1;
const FILES: usize = EXTENSION + 1;
/// Size of an image in bytes, at least: who looks for labels looks for those of other file systems too, far behind ours.
const LEAST: usize = 1 << 20;
/// Bytes of the table: one folder.
const TABLE_SIZE: u32 = 10;
/// The start of 1970, in an entry and in the volume.
const WHEN: [u8; 7] = [70, 1, 1, 0, 0, 0, 0];
const LONG_WHEN: &[u8] = b"1970010100000000\0";
const NEVER: &[u8] = b"0000000000000000\0";
/// The texts by which the standard wants Rock Ridge to be announced.
const ANNOUNCED: [&str; 3] = [
    "RRIP_1991A",
    "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS",
    "PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY VOLUME DESCRIPTOR FOR \
     CONTACT INFORMATION.",
];

/// A file of an image.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its name: lower case letters and dashes.
    pub name: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
}

/// The image with this label and these files, which are few.
pub fn image(label: &str, files: &[Entry<'_>]) -> Vec<u8> {
    made(label, files, LEAST)
}

/// An image with nothing on it. It is smaller than any that has files.
pub fn empty(label: &str) -> Vec<u8> {
    made(label, &[], 0)
}

fn made(label: &str, files: &[Entry<'_>], least: usize) -> Vec<u8> {
    let mut files = files.to_vec();
    files.sort_unstable_by_key(|file| plain(file.name));
    let mut image = vec![0; FILES * SECTOR];
    let mut root = folder(&[0], true);
    root.extend(folder(&[1], false));
    for file in &files {
        let (extent, size) = (image.len() / SECTOR, file.bytes.len());
        root.extend(entry(
            plain(file.name).as_bytes(),
            extent,
            size,
            0,
            &[mode(0o100_444, 1), name(file.name)].concat(),
        ));
        image.extend_from_slice(file.bytes);
        image.resize(image.len().next_multiple_of(SECTOR), 0);
    }
    image.resize(image.len().max(least), 0);
    let sectors = image.len() / SECTOR;
    put(&mut image, VOLUME, &volume(label, sectors));
    put(&mut image, TERMINATOR, b"\xffCD001\x01");
    put(&mut image, TABLE[0], &table(u32::to_le_bytes, u16::to_le_bytes));
    put(&mut image, TABLE[1], &table(u32::to_be_bytes, u16::to_be_bytes));
    put(&mut image, ROOT, &root);
    put(&mut image, EXTENSION, &announcement());
    image
}

fn put(image: &mut [u8], sector: usize, bytes: &[u8]) {
    image[sector * SECTOR..sector * SECTOR + bytes.len()].copy_from_slice(bytes);
}

/// The name as plain ISO 9660 has it.
fn plain(name: &str) -> String {
    let letters =
        name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' });
    format!("{}.;1", letters.collect::<String>())
}

/// A number in both byte orders.
fn both32(number: usize) -> [u8; 8] {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    bytes
}

fn both16(number: u16) -> [u8; 4] {
    let [a, b] = number.to_le_bytes();
    [a, b, b, a]
}

/// An entry of the root; `more` is what Rock Ridge says of it.
fn entry(name: &[u8], extent: usize, size: usize, flags: u8, more: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0];
    bytes.extend(both32(extent));
    bytes.extend(both32(size));
    bytes.extend(WHEN);
    bytes.extend([flags, 0, 0]);
    bytes.extend(both16(1));
    bytes.push(length(name.len()));
    bytes.extend(name);
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    bytes.extend(more);
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    bytes[0] = length(bytes.len());
    bytes
}

/// A length that has one byte.
fn length(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

/// The root's entry of itself, which announces Rock Ridge, or of the folder above it, which is itself.
fn folder(name: &[u8], is_first: bool) -> Vec<u8> {
    let mut more = Vec::new();
    if is_first {
        more.extend(b"SP\x07\x01\xbe\xef\x00");
    }
    more.extend(mode(0o40_555, 2));
    if is_first {
        more.extend(b"CE\x1c\x01");
        for number in [EXTENSION, 0, announcement().len()] {
            more.extend(both32(number));
        }
    }
    entry(name, ROOT, SECTOR, 2, &more)
}

/// Kind and permissions; everything belongs to root.
fn mode(mode: usize, links: usize) -> Vec<u8> {
    let mut bytes = b"PX\x24\x01".to_vec();
    for number in [mode, links, 0, 0] {
        bytes.extend(both32(number));
    }
    bytes
}

/// The name as it is.
fn name(name: &str) -> Vec<u8> {
    let mut bytes = vec![b'N', b'M', length(5 + name.len()), 1, 0];
    bytes.extend(name.as_bytes());
    bytes
}

fn announcement() -> Vec<u8> {
    let lengths = ANNOUNCED.map(|text| length(text.len()));
    let mut bytes = vec![b'E', b'R', 0, 1, lengths[0], lengths[1], lengths[2], 1];
    ANNOUNCED.iter().for_each(|text| bytes.extend(text.as_bytes()));
    bytes[2] = length(bytes.len());
    bytes
}

/// The table of folders: the root alone.
fn table(long: fn(u32) -> [u8; 4], short: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let root = u32::try_from(ROOT).unwrap_or_default();
    [&[1, 0][..], &long(root), &short(1), &[0, 0]].concat()
}

fn volume(label: &str, sectors: usize) -> Vec<u8> {
    let spaces = |count: usize| vec![b' '; count];
    let padded = |text: &str, size: usize| -> Vec<u8> { text.bytes().chain(spaces(size)).take(size).collect() };
    let mut bytes = b"\x01CD001\x01\x00".to_vec();
    bytes.extend(spaces(32));
    bytes.extend(padded(label, 32));
    bytes.extend([0; 8]);
    bytes.extend(both32(sectors));
    bytes.extend([0; 32]);
    bytes.extend([both16(1), both16(1), both16(2048)].concat());
    bytes.extend(both32(TABLE_SIZE as usize));
    let [little, big] = TABLE.map(|sector| u32::try_from(sector).unwrap_or_default());
    bytes.extend([little.to_le_bytes(), [0; 4], big.to_be_bytes(), [0; 4]].concat());
    bytes.extend(entry(&[0], ROOT, SECTOR, 2, &[]));
    // Set, publisher, preparer, application, and the names of three files.
    bytes.extend(spaces(4 * 128 + 3 * 37));
    bytes.extend([LONG_WHEN, LONG_WHEN, NEVER, NEVER].concat());
    bytes.push(1);
    bytes
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path, process::Command};

    use super::*;

    const CONFIG: &[u8] = b"version: v1alpha1\nmachine:\n  type: worker\n";

    fn files() -> [Entry<'static>; 3] {
        // One that needs several sectors, and one that ends with its sector.
        const LONG: [u8; 5000] = [b'#'; 5000];
        const WHOLE: [u8; 2048] = [b'x'; 2048];
        [
            Entry { name: "user-data", bytes: &LONG },
            Entry { name: "meta-data", bytes: CONFIG },
            Entry { name: "network-config", bytes: &WHOLE },
        ]
    }

    fn written() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seed.iso");
        std::fs::write(&path, image("cidata", &files())).unwrap();
        (dir, path)
    }

    #[track_caller]
    fn output(program: &Path, words: &[&str]) -> Vec<u8> {
        let output = Command::new(program).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    #[test]
    fn the_same_files_in_any_order_make_the_same_image_and_other_bytes_another() {
        let [a, b, c] = files();
        assert_eq!(image("cidata", &[a, b, c]), image("cidata", &[c, a, b]));
        assert_ne!(image("cidata", &[a, b]), image("cidata", &[a, Entry { bytes: b"", ..b }]));
        assert_eq!(image("cidata", &files()).len(), LEAST);
        let long = vec![0; 2 * LEAST];
        assert_eq!(image("cidata", &[Entry { name: "user-data", bytes: &long }]).len() % SECTOR, 0);
    }

    #[test]
    fn isoinfo_reads_label_names_and_bytes() {
        let Some(isoinfo) = judges::require("isoinfo") else { return };
        let (_dir, path) = written();
        let path = path.to_str().unwrap();
        let about = String::from_utf8(output(&isoinfo, &["-d", "-i", path])).unwrap();
        assert!(
            about.contains("Volume id: cidata\n") && about.contains("Rock Ridge signatures version 1 found"),
            "{about}"
        );
        let names = String::from_utf8(output(&isoinfo, &["-R", "-f", "-i", path])).unwrap();
        let mut names: Vec<&str> = names.lines().collect();
        names.sort_unstable();
        assert_eq!(names, ["/meta-data", "/network-config", "/user-data"]);
        for file in files() {
            let found = output(&isoinfo, &["-R", "-i", path, "-x", &format!("/{}", file.name)]);
            assert_eq!(found, file.bytes, "{}", file.name);
        }
    }

    #[test]
    fn bsdtar_unpacks_it() {
        let Some(bsdtar) = judges::require("bsdtar") else { return };
        let (dir, path) = written();
        output(&bsdtar, &["-xf", path.to_str().unwrap(), "-C", dir.path().to_str().unwrap()]);
        for file in files() {
            assert_eq!(std::fs::read(dir.path().join(file.name)).unwrap(), file.bytes, "{}", file.name);
        }
    }

    #[test]
    fn xorriso_finds_no_fault_in_it() {
        let Some(xorriso) = judges::require("xorriso") else { return };
        let (dir, path) = written();
        let out = dir.path().join("out");
        let words = ["-indev", path.to_str().unwrap(), "-osirrox", "on", "-extract", "/", out.to_str().unwrap()];
        output(&xorriso, &[&["-abort_on", "WARNING", "-return_with", "WARNING", "32"], &words[..]].concat());
        let found: BTreeMap<String, Vec<u8>> = std::fs::read_dir(&out)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
            .collect();
        let expected = files().map(|file| (file.name.to_owned(), file.bytes.to_vec()));
        assert_eq!(found, expected.into());
    }

    #[test]
    fn an_image_without_files_is_one_too() {
        let bytes = image("empty", &[]);
        let Some(isoinfo) = judges::require("isoinfo") else { return };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("empty.iso");
        std::fs::write(&path, bytes).unwrap();
        let path = path.to_str().unwrap();
        assert!(String::from_utf8(output(&isoinfo, &["-d", "-i", path])).unwrap().contains("Volume id: empty\n"));
        assert_eq!(output(&isoinfo, &["-R", "-f", "-i", path]), b"");
    }
}
