//! Sizes as Proxmox VE writes them.

/// Bytes of a GiB.
pub(crate) const GIB: u64 = 1 << 30;

/// Bytes of a size as a config has it: `4G`, `528K`, `4560M`; a bare number counts bytes.
pub(crate) fn bytes(size: &str) -> Option<u64> {
    let digits = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &size[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    scaled(digits, shift)
}

/// Bytes of a number of GiB, as an allocation has it: `100`, `4.5`.
pub(crate) fn gibibytes(number: &str) -> Option<u64> {
    let plain = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    if plain { scaled(number, 30) } else { None }
}

fn scaled(number: &str, shift: u32) -> Option<u64> {
    let number: f64 = number.parse().ok()?;
    let bytes = number * f64::from(1_u32 << (shift % 30)) * if shift >= 30 { f64::from(1_u32 << 30) } else { 1.0 };
    (0.0..9e18).contains(&bytes).then(|| whole(bytes))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the caller checked the range")]
fn whole(bytes: f64) -> u64 {
    bytes as u64
}

/// The size in the largest unit that gives a whole number, not larger than G: `20G`, `4608M`. Less than a KiB is rounded
/// up.
pub(crate) fn written(bytes: u64) -> String {
    let units = [(GIB, 'G'), (1 << 20, 'M')];
    match units.iter().find(|(unit, _)| bytes.is_multiple_of(*unit)) {
        Some((unit, letter)) => format!("{}{letter}", bytes / unit),
        None => format!("{}K", bytes.div_ceil(1 << 10)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_every_unit() {
        assert_eq!((bytes("528K"), bytes("4.5G"), bytes("1X")), (Some(540_672), Some(4_831_838_208), None));
        assert_eq!((bytes("1T"), bytes("1024G"), bytes("7")), (Some(1 << 40), Some(1 << 40), Some(7)));
        assert_eq!((gibibytes("100"), gibibytes("4.5")), (Some(100 << 30), Some(4_831_838_208)));
        assert_eq!(
            (gibibytes("4G"), gibibytes(""), gibibytes("vm-100-disk-0"), gibibytes("1e3")),
            (None, None, None, None)
        );
    }

    #[test]
    fn sizes_are_written_so_that_they_are_read_as_the_same() {
        for size in [1 << 30, 100 << 30, 4_831_838_208, 540_672, 1 << 41] {
            assert_eq!(bytes(&written(size)), Some(size));
        }
        assert_eq!((written(20 << 30).as_str(), written(4_831_838_208).as_str()), ("20G", "4608M"));
    }
}
