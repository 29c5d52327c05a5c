//! A disk with a partition table: a protective MBR and a GPT with one EFI partition (UEFI specification, chapter 5).

const SECTOR: usize = 512;
/// Sectors of the table of entries: 128 of 128 bytes.
const ENTRIES: usize = 32;
/// First sector of the partition.
const START: usize = 64;
const SIGNATURE: &[u8] = b"EFI PART";
/// C12A7328-F81F-11D2-BA4B-00A0C93EC93B, an EFI system partition, in the byte order of GPT.
const EFI: [u8; 16] = [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];

fn crc(bytes: &[u8]) -> [u8; 4] {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum().to_le_bytes()
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

/// A disk of so many bytes with something at the start of its partition.
pub(super) fn disk(content: &[u8], size: usize) -> Vec<u8> {
    let mut file = vec![0; size];
    let sectors = size / SECTOR;
    let last = sectors - ENTRIES - 2;
    put(&mut file, 446, &[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff]);
    put(&mut file, 454, &1_u32.to_le_bytes());
    put(&mut file, 458, &(sectors as u32 - 1).to_le_bytes());
    put(&mut file, 510, &[0x55, 0xaa]);
    let entries = entries(last);
    for (header, alternate, table) in [(1, sectors - 1, 2), (sectors - 1, 1, sectors - 1 - ENTRIES)] {
        put(&mut file, table * SECTOR, &entries);
        put(&mut file, header * SECTOR, &head(header, alternate, table, last, &entries));
    }
    put(&mut file, START * SECTOR, content);
    file
}

fn entries(last: usize) -> Vec<u8> {
    let mut table = vec![0; ENTRIES * SECTOR];
    put(&mut table, 0, &EFI);
    put(&mut table, 16, &[0x11; 16]);
    put(&mut table, 32, &(START as u64).to_le_bytes());
    put(&mut table, 40, &(last as u64).to_le_bytes());
    put(&mut table, 56, b"E\0F\0I\0");
    table
}

fn head(own: usize, alternate: usize, table: usize, last: usize, entries: &[u8]) -> Vec<u8> {
    let mut head = SIGNATURE.to_vec();
    head.extend_from_slice(&[0, 0, 1, 0]);
    head.extend_from_slice(&92_u32.to_le_bytes());
    head.extend_from_slice(&[0; 8]);
    for sector in [own, alternate, 2 + ENTRIES, last] {
        head.extend_from_slice(&(sector as u64).to_le_bytes());
    }
    head.extend_from_slice(&[0x22; 16]);
    head.extend_from_slice(&(table as u64).to_le_bytes());
    head.extend_from_slice(&128_u32.to_le_bytes());
    head.extend_from_slice(&128_u32.to_le_bytes());
    head.extend_from_slice(&crc(entries));
    let sum = crc(&head);
    put(&mut head, 16, &sum);
    head
}

/// What the partition of such a disk begins with; of another disk, what the disk begins with.
pub(super) fn partition(head: &[u8]) -> &[u8] {
    match head.get(SECTOR..SECTOR + SIGNATURE.len()) == Some(SIGNATURE) {
        true => head.get(START * SECTOR..).unwrap_or_default(),
        false => head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tables_of_a_disk_are_whole_and_point_at_each_other() {
        let file = disk(b"content", 1 << 20);
        assert_eq!(partition(&file)[..7], *b"content");
        for (own, alternate) in [(1, 2047_u64), (2047, 1)] {
            let mut head = file[own * SECTOR..own * SECTOR + 92].to_vec();
            let sum = head[16..20].to_vec();
            head[16..20].fill(0);
            assert_eq!(crc(&head).to_vec(), sum);
            assert_eq!(head[32..40], alternate.to_le_bytes());
            let table = u64::from_le_bytes(head[72..80].try_into().unwrap()) as usize;
            assert_eq!(crc(&file[table * SECTOR..(table + ENTRIES) * SECTOR]).to_vec(), head[88..92]);
        }
    }
}
