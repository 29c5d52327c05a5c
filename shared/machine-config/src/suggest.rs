//! Suggestions: the known word that a typing error most likely meant.

/// The known word with the fewest changes from `word`, if they are few enough to be a typing error.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = 1 + word.chars().count() / 4;
    let word = word.to_lowercase();
    let distance = |other: &str| strsim::levenshtein(&word, &other.to_lowercase());
    known
        .into_iter()
        .map(|other| (distance(other), other))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_nonsense_none() {
        let known = ["hostname", "interfaces", "nameservers"];
        assert_eq!(nearest("hostnam", known), Some("hostname"));
        assert_eq!(nearest("nameServer", known), Some("nameservers"));
        assert_eq!(nearest("xyz", known), None);
    }
}
