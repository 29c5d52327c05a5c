//! Recognises an image by how its file begins.

use schematic::Format;

/// A text that files of a format have at an offset.
type Mark = (usize, &'static [u8]);

const XZ: Mark = (0, b"\xfd7zXZ\0");
const ZSTD: Mark = (0, &[0x28, 0xb5, 0x2f, 0xfd]);
const GZIP: Mark = (0, &[0x1f, 0x8b]);
const QCOW2: Mark = (0, b"QFI\xfb");
/// The first volume descriptor of ISO 9660 is in the seventeenth sector of 2048 bytes.
const ISO: Mark = (16 * 2048 + 1, b"CD001");
/// Disks of Talos have a GPT, and before it an MBR that protects it.
const MBR: Mark = (510, &[0x55, 0xaa]);
const DYNAMIC_VHD: Mark = (0, b"conectix");
const TAR: Mark = (257, b"ustar");

/// How many bytes of something else are shown.
const SHOWN: usize = 24;

/// The marks of a format; a file of it has one of them.
fn marks(format: &str) -> &'static [Mark] {
    match format.rsplit('.').next().unwrap_or_default() {
        "xz" => &[XZ],
        "zst" => &[ZSTD],
        "gz" => &[GZIP],
        "qcow2" => &[QCOW2],
        "iso" => &[ISO],
        "vhd" => &[DYNAMIC_VHD, MBR],
        "ova" => &[TAR],
        _ => &[MBR],
    }
}

/// The beginning of a file that streams by, until it is known what it is.
#[derive(Debug)]
pub(crate) struct Content {
    format: String,
    marks: &'static [Mark],
    head: Vec<u8>,
    is_known: bool,
}

impl Content {
    /// What a file of this format must begin with.
    pub(crate) fn of(format: &Format) -> Self {
        let format = format.to_string();
        let marks = marks(&format);
        Self { format, marks, head: Vec::new(), is_known: false }
    }

    /// Takes the next bytes; the error says what they are instead.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.is_known {
            return Ok(());
        }
        let marked = self.marks.iter().map(|(at, mark)| at + mark.len());
        let needed = marked.chain([SHOWN]).max().unwrap_or_default();
        let room = needed.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        if self.head.len() < needed { Ok(()) } else { self.finish() }
    }

    /// Whether what came is of the format; the error says what it is instead.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        let has = |(at, mark): &Mark| self.head.get(*at..at + mark.len()) == Some(mark);
        self.is_known = self.is_known || self.marks.iter().any(has);
        match self.is_known {
            true => Ok(()),
            false if self.head.is_empty() => Err("it is empty".into()),
            false => {
                let shown = &self.head[..self.head.len().min(SHOWN)];
                Err(format!("it is no {} file: it begins with \"{}\"", self.format, shown.escape_ascii()))
            }
        }
    }
}

/// Whether a content type is that of a page or a message. Images have various ones, but none of these.
pub(crate) fn is_message(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/") || ["application/json", "application/xml", "application/xhtml+xml"].contains(&&*kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(format: &str, pieces: &[&[u8]]) -> Result<(), String> {
        let mut content = Content::of(&format.parse().unwrap());
        pieces.iter().try_for_each(|piece| content.take(piece))?;
        content.finish()
    }

    #[test]
    fn a_file_is_known_by_how_it_begins_in_whatever_pieces_it_comes() {
        let at = |offset: usize, mark: &[u8]| [vec![0; offset], mark.to_vec(), vec![0; 9]].concat();
        for (format, file) in [
            ("qcow2", at(0, b"QFI\xfb")),
            ("raw", at(510, &[0x55, 0xaa])),
            ("raw.xz", at(0, b"\xfd7zXZ\0")),
            ("raw.zst", at(0, &[0x28, 0xb5, 0x2f, 0xfd])),
            ("qcow2.tar.gz", at(0, &[0x1f, 0x8b])),
            ("iso", at(32769, b"CD001")),
            ("vhd", at(0, b"conectix")),
            ("vhd", at(510, &[0x55, 0xaa])),
            ("ova", at(257, b"ustar")),
        ] {
            assert_eq!(judged(format, &[&file]), Ok(()), "{format}");
            let pieces: Vec<&[u8]> = file.chunks(3).collect();
            assert_eq!(judged(format, &pieces), Ok(()), "{format}");
            assert!(judged(format, &[&[b'A'; 40_000]]).is_err(), "{format}");
            assert_eq!(judged(format, &[]), Err("it is empty".into()), "{format}");
        }
    }

    #[test]
    fn what_is_something_else_is_shown_by_its_beginning() {
        let page = "<html>\u{1b}[31mplease log in and then ask again</html>";
        let told = judged("qcow2", &[page.as_bytes()]).unwrap_err();
        assert_eq!(told, "it is no qcow2 file: it begins with \"<html>\\x1b[31mplease log in\"");
        let told = judged("iso", &[page.as_bytes()]).unwrap_err();
        assert_eq!(told, "it is no iso file: it begins with \"<html>\\x1b[31mplease log in\"");
    }

    #[test]
    fn pages_and_messages_are_told_from_images_by_their_type() {
        for kind in ["text/html", "TEXT/HTML; charset=utf-8", "text/plain", "application/json", "application/xml"] {
            assert!(is_message(kind), "{kind}");
        }
        for kind in ["application/x-qemu-disk", "application/octet-stream", "binary/octet-stream", ""] {
            assert!(!is_message(kind), "{kind}");
        }
    }
}
