//! References of images.

/// Characters that a repository may have besides letters and digits.
const REPOSITORY: &str = "_-./";
/// Characters that a tag may have besides letters and digits.
const TAG: &str = "_-.";

/// What is wrong with an image's reference: `[registry/]repository[:tag][@sha256:…]`.
pub(crate) fn wrong(text: &str) -> Option<String> {
    let (base, digest) = text.split_once('@').map_or((text, None), |(base, digest)| (base, Some(digest)));
    // A colon before a slash belongs to a registry's port.
    let (name, tag) = match base.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
        Some((name, tag)) => (name, Some(tag)),
        None => (base, None),
    };
    let tagged = |c: char| c.is_ascii_alphanumeric() || TAG.contains(c);
    let good = tag.is_none_or(|tag| (1..=128).contains(&tag.len()) && tag.chars().all(tagged))
        && digest.is_none_or(is_digest)
        && is_repository(name);
    (!good).then(|| format!("could not parse reference: {text}"))
}

fn is_digest(text: &str) -> bool {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64 && digits.chars().all(hex))
}

fn is_repository(name: &str) -> bool {
    let registry = name.split_once('/').filter(|(first, _)| first.contains(['.', ':']));
    let (host, path) = registry.map_or(("a", name), |(host, path)| (host, path));
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || REPOSITORY.contains(c);
    (2..=255).contains(&path.len()) && path.chars().all(fits) && is_authority(host)
}

/// A host with or without a port.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').unwrap_or(rest)),
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let odd = |c: char| c.is_whitespace() || c.is_control() || "@?#\\^`{|}<>\"%".contains(c);
    !host.contains(odd) && port.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::wrong;

    #[test]
    fn references_are_told_from_what_is_none() {
        let digest = "a".repeat(64);
        for good in ["nginx", "a/b:1", "ghcr.io/a/b:v1.2", "localhost:5000/ab", "10.0.0.1:5000/a/b"] {
            assert_eq!(wrong(good), None, "{good}");
            assert_eq!(wrong(&format!("{good}@sha256:{digest}")), None, "{good}");
        }
        for bad in ["a", "A/b", "ab:", "ab:a b", "a b.c/de", "ab@sha256:1", "ab@md5:1", "a.b:x/cd", ""] {
            assert_eq!(wrong(bad), Some(format!("could not parse reference: {bad}")));
        }
    }
}
