//! The result of a validation, and the kind of machine that it is for.

/// How the machine boots, which decides what its config must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Installed by Talos itself.
    Metal,
    /// Booted from a disk image, nocloud on Proxmox VE among them.
    Cloud,
    /// In a container, for tests.
    Container,
    /// In memory, under Omni's bare-metal provider.
    MetalAgent,
}

impl Mode {
    /// The mode of talosctl's word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Metal, Self::Cloud, Self::Container, Self::MetalAgent].into_iter().find(|mode| mode.as_str() == word)
    }

    /// talosctl's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metal => "metal",
            Self::Cloud => "cloud",
            Self::Container => "container",
            Self::MetalAgent => "metal-agent",
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What Talos refuses.
    pub errors: Vec<String>,
    /// What it accepts with a warning.
    pub warnings: Vec<String>,
    /// How many of the warnings are about the legacy document: those that `--strict` turns into errors.
    pub(crate) legacy_warnings: usize,
    /// The minor of Talos 1.x whose rules apply.
    pub(crate) minor: u32,
}

impl Report {
    pub(crate) fn error(&mut self, text: impl Into<String>) {
        self.errors.push(text.into());
    }

    pub(crate) fn warn(&mut self, text: impl Into<String>) {
        self.warnings.push(text.into());
    }

    /// Turns the legacy document's warnings into errors, as talosctl's `--strict` does.
    pub fn strict(mut self) -> Self {
        let warnings = self.warnings.drain(..self.legacy_warnings);
        self.errors.extend(warnings.map(|warning| format!("warning: {warning}")));
        self.legacy_warnings = 0;
        self
    }
}
