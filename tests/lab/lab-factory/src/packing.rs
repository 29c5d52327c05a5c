//! Compressed files without compression: gzip for real, xz and Zstandard with their bytes stored as they are.

use std::io::Write;

use flate2::write::GzEncoder;

use super::profile::Packing;

/// Packs a file.
pub(crate) fn pack(bytes: Vec<u8>, packing: Packing) -> Vec<u8> {
    match packing {
        Packing::Plain => bytes,
        Packing::Gzip => gzip(&bytes),
        Packing::Xz => xz(&bytes),
        Packing::Zstd => zstd(&bytes),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("writing to memory does not fail")
}

/// A single-segment frame of raw blocks.
fn zstd(bytes: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 128 * 1024;
    let size = u32::try_from(bytes.len()).expect("images of the lab are small");
    let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    out.extend_from_slice(&size.to_le_bytes());
    let last = bytes.len().div_ceil(BLOCK).max(1) - 1;
    for index in 0..=last {
        let block = &bytes[index * BLOCK..bytes.len().min((index + 1) * BLOCK)];
        let length = u32::try_from(block.len()).expect("a block is small");
        let header = length << 3 | u32::from(index == last);
        out.extend_from_slice(&header.to_le_bytes()[..3]);
        out.extend_from_slice(block);
    }
    out
}

/// One block of uncompressed LZMA2 chunks, without a checksum of the content.
fn xz(bytes: &[u8]) -> Vec<u8> {
    const CHUNK: usize = 1 << 16;
    let flags = [0x00, 0x00];
    let mut out = b"\xfd7zXZ\x00".to_vec();
    out.extend_from_slice(&flags);
    out.extend_from_slice(&crc(&flags));
    let header = [0x02, 0x00, 0x21, 0x01, 0x16, 0x00, 0x00, 0x00];
    let start = out.len();
    out.extend_from_slice(&header);
    out.extend_from_slice(&crc(&header));
    for (index, chunk) in bytes.chunks(CHUNK).enumerate() {
        let length = u16::try_from(chunk.len() - 1).expect("a chunk has at most 65536 bytes");
        out.push(if index == 0 { 0x01 } else { 0x02 });
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(chunk);
    }
    out.push(0x00);
    let unpadded = out.len() - start;
    out.resize(start + unpadded.next_multiple_of(4), 0);
    finish_xz(out, unpadded, bytes.len(), flags)
}

/// Index and footer.
fn finish_xz(mut out: Vec<u8>, unpadded: usize, size: usize, flags: [u8; 2]) -> Vec<u8> {
    let mut index = vec![0x00, 0x01];
    index.extend(number(unpadded));
    index.extend(number(size));
    index.resize(index.len().next_multiple_of(4), 0);
    let sum = crc(&index);
    index.extend_from_slice(&sum);
    let backward = u32::try_from(index.len() / 4 - 1).expect("the index is small");
    out.append(&mut index);
    let mut footer = backward.to_le_bytes().to_vec();
    footer.extend_from_slice(&flags);
    out.extend_from_slice(&crc(&footer));
    out.append(&mut footer);
    out.extend_from_slice(b"YZ");
    out
}

/// A number in groups of seven bits.
fn number(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn crc(bytes: &[u8]) -> [u8; 4] {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::{Command, Stdio};

    use super::*;

    /// What a program of the system makes of the file.
    fn unpacked(program: &Path, packed: &[u8]) -> Option<Vec<u8>> {
        let mut child = Command::new(program).arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let mut stdin = child.stdin.take()?;
        let packed = packed.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&packed));
        let output = child.wait_with_output().ok()?;
        writer.join().ok()?.ok()?;
        output.status.success().then_some(output.stdout)
    }

    #[test]
    fn programs_of_the_system_unpack_what_was_packed() {
        let bytes: Vec<u8> = (0..300_000_u32).map(|number| (number % 251) as u8).collect();
        for (program, packing) in [("gzip", Packing::Gzip), ("xz", Packing::Xz), ("zstd", Packing::Zstd)] {
            let Some(path) = judges::require(program) else { continue };
            assert_eq!(unpacked(&path, &pack(bytes.clone(), packing)).as_deref(), Some(&bytes[..]), "{program}");
        }
    }
}
