//! From what a user sets to a client.

use std::path::{Path, PathBuf};

use crate::{BadEndpoint, BadToken, BadTrust, Client, Endpoint, Fingerprint, Token, Trust};

/// What a user says about a server; the rest comes from the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where it is; else `PROXMOX_VE_ENDPOINT`.
    pub endpoint: Option<String>,
    /// File with the certificate authority.
    pub ca: Option<PathBuf>,
    /// SHA-256 fingerprint of its certificate.
    pub fingerprint: Option<String>,
    /// File with the API token; else `PROXMOX_VE_API_TOKEN`.
    pub token_file: Option<PathBuf>,
}

/// Settings that no client can be made of.
#[derive(Debug, thiserror::Error)]
pub enum Unset {
    /// No endpoint.
    #[error("no Proxmox VE endpoint is set")]
    NoEndpoint,
    /// No token.
    #[error("no Proxmox VE API token is set")]
    NoToken,
    /// An endpoint of another shape.
    #[error(transparent)]
    Endpoint(#[from] BadEndpoint),
    /// A token of another shape.
    #[error(transparent)]
    Token(#[from] BadToken),
    /// Trust that can't be set up.
    #[error(transparent)]
    Trust(#[from] BadTrust),
    /// A file that can't be read.
    #[error("{file} can't be read")]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Unset {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoEndpoint => Some("set `spec.proxmox.endpoint` or PROXMOX_VE_ENDPOINT, as in https://pve.lan:8006"),
            Self::NoToken | Self::Token(_) => {
                Some("set PROXMOX_VE_API_TOKEN=USER@REALM!TOKENID=SECRET, or name a file with --token-file")
            }
            _ => None,
        }
    }
}

impl Settings {
    /// Makes a client; nothing is sent yet. `variable` looks up the environment.
    ///
    /// # Errors
    /// What is missing or of another shape.
    pub fn connect(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Client, Unset> {
        let endpoint = self.endpoint.clone().or_else(|| variable("PROXMOX_VE_ENDPOINT")).ok_or(Unset::NoEndpoint)?;
        let token = match &self.token_file {
            Some(file) => read(file)?,
            None => variable("PROXMOX_VE_API_TOKEN").ok_or(Unset::NoToken)?,
        };
        let insecure = variable("PROXMOX_VE_INSECURE").is_some_and(|text| matches!(text.trim(), "1" | "true" | "yes"));
        let trust = match (&self.fingerprint, &self.ca) {
            (Some(text), _) => Trust::Pinned(Fingerprint::parse(text)?),
            (None, Some(file)) => Trust::Authority(read(file)?),
            (None, None) if insecure => Trust::Anyone,
            (None, None) => Trust::System,
        };
        Ok(Client::new(Endpoint::parse(&endpoint)?, &Token::parse(&token)?, &trust)?)
    }
}

fn read(file: &Path) -> Result<String, Unset> {
    std::fs::read_to_string(file).map_err(|source| Unset::File { file: file.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(settings: &Settings, variables: &[(&str, &str)]) -> Result<String, Unset> {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into());
        settings.connect(variable).map(|client| client.endpoint().to_string())
    }

    #[test]
    fn the_environment_fills_in_what_the_user_left_out() {
        let env = [("PROXMOX_VE_ENDPOINT", "https://pve:8006"), ("PROXMOX_VE_API_TOKEN", "a@pve!cli=s")];
        assert_eq!(connect(&Settings::default(), &env).unwrap(), "pve:8006");

        let settings = Settings { endpoint: Some("other".into()), ..Settings::default() };
        assert_eq!(connect(&settings, &env).unwrap(), "other:8006");
    }

    #[test]
    fn what_is_missing_is_told_with_the_variable_to_set() {
        let error = connect(&Settings::default(), &[]).unwrap_err();
        assert!(error.hint().unwrap().contains("PROXMOX_VE_ENDPOINT"));

        let error = connect(&Settings::default(), &[("PROXMOX_VE_ENDPOINT", "pve")]).unwrap_err();
        assert!(error.hint().unwrap().contains("PROXMOX_VE_API_TOKEN"));
    }
}
