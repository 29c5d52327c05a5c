//! The URL of an Image Factory, and the names of what it serves.

use std::fmt;

use talos_releases::{Gate, Version};

use crate::Image;

/// The base URL of an Image Factory: `https://factory.talos.dev`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactoryUrl {
    scheme: &'static str,
    /// Host, with its port if one was written.
    host: String,
}

/// Text that is not a base URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFactoryUrl {
    /// It contains credentials; the text is not repeated.
    #[error("the Image Factory's URL contains credentials")]
    Credentials,
    /// It has a path after the host, or no host.
    #[error("{0:?} is not the URL of an Image Factory, which is a scheme and a host")]
    Shape(String),
}

impl Default for FactoryUrl {
    /// The public factory.
    fn default() -> Self {
        Self { scheme: "https", host: "factory.talos.dev".into() }
    }
}

impl FactoryUrl {
    /// Reads `https://host`, `http://host:port`, or a bare host, which means https.
    ///
    /// # Errors
    /// Another scheme, credentials, or a path.
    pub fn parse(text: &str) -> Result<Self, BadFactoryUrl> {
        let bad = || BadFactoryUrl::Shape(text.into());
        let (scheme, rest) = match text.trim().split_once("://") {
            Some(("https", rest)) => ("https", rest),
            Some(("http", rest)) => ("http", rest),
            None => ("https", text.trim()),
            Some((_, rest)) if rest.contains('@') => return Err(BadFactoryUrl::Credentials),
            Some(_) => return Err(bad()),
        };
        let host = rest.strip_suffix('/').unwrap_or(rest);
        if host.contains('@') {
            return Err(BadFactoryUrl::Credentials);
        }
        let letters = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        if host.is_empty() || !host.chars().all(letters) {
            return Err(bad());
        }
        Ok(Self { scheme, host: host.to_ascii_lowercase() })
    }

    /// Whether connections to it are encrypted.
    pub fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    /// The URL of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{self}{path}")
    }

    /// The URL of an image.
    pub fn image(&self, image: &Image) -> String {
        self.url(&image.path())
    }

    /// The reference of the installer that belongs to an image: what a node upgrades itself from.
    ///
    /// From Talos 1.10 on the installer carries the platform's kernel arguments, so it must be the platform's own.
    pub fn installer(&self, platform: &str, schematic: &str, version: Version, secureboot: bool) -> String {
        let own = if Gate::PlatformInstaller.is_open_in(version) { format!("{platform}-") } else { String::new() };
        let secure = if secureboot { "-secureboot" } else { "" };
        format!("{}/{own}installer{secure}/{schematic}:{version}", self.host)
    }
}

impl fmt::Display for FactoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_a_scheme_and_a_host() {
        for text in
            ["https://factory.talos.dev", "https://factory.talos.dev/", "factory.talos.dev", "Factory.talos.dev"]
        {
            assert_eq!(FactoryUrl::parse(text).unwrap().to_string(), "https://factory.talos.dev", "{text}");
        }
        assert_eq!(
            FactoryUrl::parse("http://127.0.0.1:8080").unwrap().url("/versions"),
            "http://127.0.0.1:8080/versions"
        );
        assert_eq!(FactoryUrl::parse("https://user:pass@factory"), Err(BadFactoryUrl::Credentials));
        for text in ["", "ftp://factory", "https://factory/image", "https://"] {
            assert_eq!(FactoryUrl::parse(text), Err(BadFactoryUrl::Shape(text.into())));
        }
    }

    #[test]
    fn the_installer_is_the_platforms_own_from_1_10_on() {
        let base = FactoryUrl::parse("https://factory.talos.dev").unwrap();
        let installer = |version: &str, secure| base.installer("nocloud", "ce4c", version.parse().unwrap(), secure);

        assert_eq!(installer("v1.13.5", false), "factory.talos.dev/nocloud-installer/ce4c:v1.13.5");
        assert_eq!(installer("1.10.0", true), "factory.talos.dev/nocloud-installer-secureboot/ce4c:v1.10.0");
        assert_eq!(installer("v1.9.6", false), "factory.talos.dev/installer/ce4c:v1.9.6");
    }
}
