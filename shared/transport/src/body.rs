//! What comes back over HTTP.

/// The body of a reply; `None` if it is larger than so many bytes: nobody's memory is filled by another's answer.
///
/// # Errors
/// The connection broke.
pub async fn body(reply: &mut reqwest::Response, most: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(piece) = reply.chunk().await? {
        if body.len() + piece.len() > most {
            return Ok(None);
        }
        body.extend_from_slice(&piece);
    }
    Ok(Some(body))
}
