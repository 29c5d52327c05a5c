//! Subjects with several organizations, which the certificate library doesn't support: Talos's roles are organizations.

use rcgen::string::PrintableString;
use rcgen::{KeyPair, SigningKey};
use talosconfig::certificate;

use crate::Error;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const BIT_STRING: u8 = 0x03;
const OBJECT_ID: u8 = 0x06;
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;

const ORGANIZATION: [u8; 3] = [0x55, 4, 10];
const COMMON_NAME: [u8; 3] = [0x55, 4, 3];

/// DER of a tag and its content.
pub(crate) fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut der = vec![tag];
    match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => der.push(short),
        _ => {
            let bytes: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            der.push(0x80 | u8::try_from(bytes.len()).unwrap_or(u8::MAX));
            der.extend(bytes);
        }
    }
    der.extend(content);
    der
}

/// The certificate with this subject, signed again. Go puts all organizations into one part of the name, sorted.
pub(crate) fn replace(
    signed: &[u8],
    organizations: &[String],
    common_name: &str,
    issuer: &KeyPair,
) -> Result<Vec<u8>, Error> {
    let parsed = certificate::parse(signed)?;
    let (tbs, subject) = (parsed.tbs_certificate.as_ref(), parsed.subject().as_raw());
    let body = content(tbs)?;
    let before = position(body, subject).ok_or_else(odd)?;
    let mut changed = body[..before].to_vec();
    changed.extend(name(organizations, common_name));
    changed.extend(&body[before + subject.len()..]);
    let tbs_new = tagged(SEQUENCE, &changed);
    let whole = content(signed)?;
    let algorithm = element(&whole[tbs.len()..])?;
    let signature = issuer.sign(&tbs_new).map_err(|error| Error::Sign(error.to_string()))?;
    let bits = tagged(BIT_STRING, &[&[0], signature.as_slice()].concat());
    Ok(tagged(SEQUENCE, &[tbs_new.as_slice(), algorithm, &bits].concat()))
}

fn odd() -> Error {
    Error::Sign("the certificate library wrote a certificate of another form".to_owned())
}

/// The position of the subject: after the issuer, which may be the same name.
fn position(body: &[u8], subject: &[u8]) -> Option<usize> {
    let (start, base) = (subject.as_ptr() as usize, body.as_ptr() as usize);
    start.checked_sub(base).filter(|offset| offset + subject.len() <= body.len())
}

fn name(organizations: &[String], common_name: &str) -> Vec<u8> {
    let mut parts: Vec<Vec<u8>> = organizations.iter().map(|text| attribute(&ORGANIZATION, text)).collect();
    parts.sort();
    let mut out = tagged(SET, &parts.concat());
    if !common_name.is_empty() {
        out.extend(tagged(SET, &attribute(&COMMON_NAME, common_name)));
    }
    tagged(SEQUENCE, &out)
}

fn attribute(id: &[u8], text: &str) -> Vec<u8> {
    let tag = if PrintableString::try_from(text).is_ok() { PRINTABLE } else { UTF8 };
    let value = tagged(tag, text.as_bytes());
    tagged(SEQUENCE, &[tagged(OBJECT_ID, id), value].concat())
}

/// The content of the first element.
fn content(der: &[u8]) -> Result<&[u8], Error> {
    let (header, length) = header(der)?;
    Ok(&der[header..header + length])
}

/// The first element.
fn element(der: &[u8]) -> Result<&[u8], Error> {
    let (header, length) = header(der)?;
    Ok(&der[..header + length])
}

/// The lengths of an element's header and content.
fn header(der: &[u8]) -> Result<(usize, usize), Error> {
    let first = usize::from(*der.get(1).ok_or_else(odd)?);
    let (header, length) = if first < 0x80 {
        (2, first)
    } else {
        let bytes = der.get(2..2 + (first & 0x7f)).ok_or_else(odd)?;
        (2 + bytes.len(), bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
    };
    if header + length <= der.len() { Ok((header, length)) } else { Err(odd()) }
}
