//! A snapshot of etcd: a small but valid bolt database with the objects of Kubernetes as one value, and a checksum behind it.
//!
//! The layout is that of go.etcd.io/bbolt (`page.go`, `bucket.go`, `db.go`): two meta pages, an empty freelist, and a
//! leaf with the buckets `key` and `meta`, which lie inside their parent. etcd's maintenance API appends the SHA-256 of the database.

use prost::Message;
use sha2::{Digest, Sha256};

const PAGE: usize = 4096;
const HEADER: usize = 16;
const ELEMENT: usize = 16;
const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;

const LEAF: u16 = 0x02;
const META: u16 = 0x04;
const FREELIST: u16 = 0x10;
const BUCKET: u32 = 0x01;

/// The bucket in which etcd keeps revisions.
const KEY: &[u8] = b"key";

fn header(id: u64, flags: u16, count: u16, overflow: u32) -> Vec<u8> {
    let mut out = id.to_le_bytes().to_vec();
    out.extend_from_slice(&flags.to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&overflow.to_le_bytes());
    out
}

/// A leaf with elements in the order of their keys; positions count from the element's own header.
fn leaf(id: u64, overflow: u32, flags: u32, elements: &[(&[u8], Vec<u8>)]) -> Vec<u8> {
    let mut out = header(id, LEAF, elements.len() as u16, overflow);
    let mut data = Vec::new();
    for (index, (key, value)) in elements.iter().enumerate() {
        let position = ELEMENT * (elements.len() - index) + data.len();
        for number in [flags, position as u32, key.len() as u32, value.len() as u32] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        data.extend_from_slice(key);
        data.extend_from_slice(value);
    }
    out.extend(data);
    out
}

/// A bucket that lies inside its parent: no page of its own, no sequence, then a leaf.
fn bucket(key: &[u8], value: &[u8]) -> Vec<u8> {
    [vec![0; 16], leaf(0, 0, 0, &[(key, value.to_vec())])].concat()
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn meta(id: u64, pages: u64) -> Vec<u8> {
    let mut body = Vec::new();
    for number in [MAGIC, VERSION, PAGE as u32, 0] {
        body.extend_from_slice(&number.to_le_bytes());
    }
    // Root bucket and its sequence, freelist, number of pages, transaction.
    for number in [3, 0, 2, pages, id] {
        body.extend_from_slice(&number.to_le_bytes());
    }
    let checksum = fnv(&body);
    body.extend_from_slice(&checksum.to_le_bytes());
    [header(id, META, 0, 0), body].concat()
}

fn padded(mut page: Vec<u8>) -> Vec<u8> {
    page.resize(page.len().next_multiple_of(PAGE), 0);
    page
}

/// `mvccpb.KeyValue` of etcd (api/mvccpb/kv.proto), in which every value lies.
#[derive(Clone, PartialEq, prost::Message)]
struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(int64, tag = "2")]
    create_revision: i64,
    #[prost(int64, tag = "3")]
    mod_revision: i64,
    #[prost(int64, tag = "4")]
    version: i64,
    #[prost(bytes = "vec", tag = "5")]
    value: Vec<u8>,
}

/// A revision as etcd writes it: main, an underscore, sub.
fn revision(main: u64) -> Vec<u8> {
    [&main.to_be_bytes()[..], b"_", &0_u64.to_be_bytes()].concat()
}

/// A snapshot that holds some bytes at some revision.
pub(crate) fn snapshot(main: u64, value: &[u8]) -> Vec<u8> {
    let revision_number = i64::try_from(main).unwrap_or(i64::MAX);
    let pair = KeyValue {
        key: b"/registry".to_vec(),
        create_revision: revision_number,
        mod_revision: revision_number,
        version: 1,
        value: value.to_vec(),
    };
    let buckets =
        [(KEY, bucket(&revision(main), &pair.encode_to_vec())), (b"meta", bucket(b"storageVersion", b"3.6.0"))];
    let size = leaf(3, 0, BUCKET, &buckets).len();
    let overflow = size.div_ceil(PAGE) - 1;
    let pages = 4 + overflow as u64;
    let mut out = padded(meta(0, pages));
    out.extend(padded(meta(1, pages)));
    out.extend(padded(header(2, FREELIST, 0, 0)));
    out.extend(padded(leaf(3, overflow as u32, BUCKET, &buckets)));
    let digest = Sha256::digest(&out);
    out.extend_from_slice(&digest);
    out
}

/// The bytes in a snapshot that [`snapshot`] made, if its checksum is right or is not to be looked at.
pub(crate) fn value(snapshot: &[u8], skip_checksum: bool) -> Option<Vec<u8>> {
    let (database, digest) = snapshot.split_at_checked(snapshot.len().checked_sub(32)?)?;
    if !skip_checksum && Sha256::digest(database)[..] != *digest {
        return None;
    }
    // Two elements, the first key, and the header of its bucket stand before it.
    let start = 3 * PAGE + HEADER + 2 * ELEMENT + KEY.len() + 16;
    let inside = database.get(start..)?;
    let number = |at: usize| Some(u32::from_le_bytes(inside.get(at..at + 4)?.try_into().ok()?) as usize);
    let (key, length) = (number(HEADER + 8)?, number(HEADER + 12)?);
    let start = HEADER + ELEMENT + key;
    let pair = inside.get(start..start.checked_add(length)?)?;
    KeyValue::decode(pair).ok().map(|pair| pair.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_gives_back_what_was_put_into_it_unless_it_is_damaged() {
        let bytes: Vec<u8> = (0..20_000_u32).map(|number| number as u8).collect();
        let mut snapshot = snapshot(42, &bytes);
        assert_eq!(snapshot.len() % 512, 32, "what talosctl looks at");
        assert_eq!(value(&snapshot, false).as_ref(), Some(&bytes));
        snapshot[100] ^= 1;
        assert_eq!(value(&snapshot, false), None);
        assert_eq!(value(&snapshot, true).as_ref(), Some(&bytes));
        assert_eq!(value(b"short", true), None);
    }
}
