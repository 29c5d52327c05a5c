//! What is wrong with an expression, and where.

/// A place in an expression, as an offset in characters.
pub(super) type Place = usize;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// `None` for what is wrong with the expression as a whole.
    pub(super) place: Option<Place>,
    pub(super) text: String,
}

impl Fault {
    pub(super) fn at(place: Place, text: impl Into<String>) -> Self {
        Self { place: Some(place), text: text.into() }
    }

    pub(super) fn whole(text: impl Into<String>) -> Self {
        Self { place: None, text: text.into() }
    }

    /// `line:column: text`, both counted from one.
    pub(super) fn line(&self, source: &[char]) -> String {
        let Some(place) = self.place else { return self.text.clone() };
        let before = &source[..place.min(source.len())];
        let line = before.iter().filter(|c| **c == '\n').count() + 1;
        let column = before.iter().rev().take_while(|c| **c != '\n').count() + 1;
        format!("{line}:{column}: {}", self.text)
    }
}
