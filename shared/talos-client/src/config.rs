//! The machine configuration: applying it and reading it.

use std::time::Duration;

use talos_proto::{definitions, machine};

use crate::{Error, Node, cosi::Kind};

const MACHINE_CONFIG: Kind =
    Kind { call: "MachineConfig", namespace: "config", name: "MachineConfigs.config.talos.dev" };

/// How a configuration takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The node decides: up to 1.13 it reboots for changes that need it.
    Auto,
    /// At once; a change that needs a reboot is refused (up to 1.13).
    NoReboot,
    /// At once, with a reboot; up to 1.13 only.
    Reboot,
    /// At the next boot.
    Staged,
    /// At once, and reverted after this time unless another one comes.
    Try(Duration),
}

impl Mode {
    fn number(self) -> machine::apply_configuration_request::Mode {
        use machine::apply_configuration_request::Mode as Number;
        match self {
            Self::Auto => Number::Auto,
            Self::NoReboot => Number::NoReboot,
            Self::Reboot => Number::Reboot,
            Self::Staged => Number::Staged,
            Self::Try(_) => Number::Try,
        }
    }

    /// talosctl sends one minute in every mode.
    fn try_timeout(self) -> Duration {
        match self {
            Self::Try(timeout) => timeout,
            _ => Duration::from_secs(60),
        }
    }
}

/// How a configuration is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// How the configuration takes effect.
    pub mode: Mode,
    /// Whether the node only reports what it would do.
    pub dry_run: bool,
}

/// The node's response to a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its warnings.
    pub warnings: Vec<String>,
    /// What it did, or would do; empty in maintenance mode up to 1.12.
    pub details: String,
    /// Whether it reboots, or would. It means nothing in maintenance mode: there an installation reboots the node.
    pub reboots: bool,
}

impl Node {
    /// Applies a configuration to the node, or asks what it would do with it.
    ///
    /// # Errors
    ///
    /// After [`Error::Lost`] it is unknown whether the configuration was accepted; else any [`Error`] of a call.
    pub async fn apply_configuration(&self, config: &[u8], delivery: Delivery) -> Result<Applied, Error> {
        let call = "ApplyConfiguration";
        let timeout = prost_duration(delivery.mode.try_timeout());
        let request = machine::ApplyConfigurationRequest {
            data: config.to_vec(),
            mode: delivery.mode.number().into(),
            dry_run: delivery.dry_run,
            try_mode_timeout: Some(timeout),
        };
        let reply = self.reply(call, self.machine().apply_configuration(request)).await?;
        let message = self.only(call, reply.messages)?;
        Ok(Applied {
            warnings: message.warnings,
            // A diff of the configs follows, which may say anything.
            reboots: message.mode_details.lines().take(2).any(|line| line.contains("with a reboot")),
            details: message.mode_details,
        })
    }

    /// The active configuration, or `None` where there is none. Only an administrator may read it.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call.
    pub async fn machine_config(&self) -> Result<Option<String>, Error> {
        self.config("v1alpha1").await
    }

    /// The configuration with which the node boots, which differs from the active one while one is staged or tried.
    /// `None` if there is none, or the node doesn't show it (up to 1.9). Only an administrator may read it.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call.
    pub async fn kept_machine_config(&self) -> Result<Option<String>, Error> {
        self.config("persistent").await
    }

    async fn config(&self, id: &str) -> Result<Option<String>, Error> {
        let Some(resource) = self.found(&MACHINE_CONFIG, id).await? else { return Ok(None) };
        let spec = resource.spec.unwrap_or_default();
        let text = if spec.proto_spec.is_empty() {
            // The YAML form is a string scalar that holds the whole configuration as YAML again.
            serde_yaml::from_str(&spec.yaml_spec).map_err(|error| error.to_string())
        } else {
            decode(&spec.proto_spec)
        };
        text.map(Some).map_err(|why| self.unreadable(MACHINE_CONFIG.call, why))
    }

    /// Whether the configuration that runs is only tried, so that the node reverts it, as far as the end of its own log
    /// says: no resource does.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call.
    pub async fn tries_machine_config(&self) -> Result<bool, Error> {
        Ok(is_tried(&self.own_log(LINES).await?))
    }

    /// Whether the node has its configuration on its own disk, where it finds it at its next boot. Only an administrator
    /// may ask.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call.
    pub async fn keeps_machine_config(&self) -> Result<bool, Error> {
        Ok(self.found(&MACHINE_CONFIG, "persistent").await?.is_some())
    }
}

/// How many of the last lines of the log are searched for a try: one lasts a minute, if nobody says otherwise.
const LINES: i32 = 500;

/// Whether the last thing that a log says of a configuration is that one is tried (seen on 1.13.9).
fn is_tried(log: &str) -> bool {
    const APPLIES: &str = "apply config request: mode ";
    let last = log.lines().rev().find_map(|line| match line.split_once(APPLIES) {
        Some((_, mode)) => Some(mode.trim() == "try"),
        None => line.ends_with("rolling back the configuration").then_some(false),
    });
    last.unwrap_or(false)
}

fn decode(proto: &[u8]) -> Result<String, String> {
    let spec: definitions::MachineConfigSpec = prost::Message::decode(proto).map_err(|error| format!("{error}"))?;
    String::from_utf8(spec.yaml_marshalled).map_err(|error| error.to_string())
}

/// A duration as protobuf has it; what doesn't fit is as good as forever.
fn prost_duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_never_the_zero_value() {
        // Zero means "reboot" to nodes up to 1.13 and is refused by later ones.
        assert_eq!(i32::from(Mode::Auto.number()), 1);
        assert_eq!(i32::from(Mode::Reboot.number()), 0);
    }

    /// vectors/talos-real/console-bootstrap-slow-norange.txt, lines 194 to 215.
    #[test]
    fn a_config_is_tried_until_it_is_rolled_back_or_another_one_comes() {
        let log =
            |words: &[&str]| words.iter().fold(String::new(), |log, words| log + "[talos] 2026/11/30 " + words + "\n");
        let (tried, back) = ("02:32:45 apply config request: mode try", "02:32:53 rolling back the configuration");
        let staged = "02:33:00 apply config request: mode staged";
        let auto = "02:32:05 apply config request: mode auto(no_reboot)";
        for (words, expected) in [
            (&[auto, tried, "02:32:46 hostname set"][..], true),
            (&[staged, tried], true),
            (&[tried, back], false),
            (&[tried, staged], false),
            (&[tried, auto], false),
            (&[], false),
        ] {
            assert_eq!(is_tried(&log(words)), expected, "{words:?}");
        }
    }

    #[test]
    fn a_try_ends_after_its_own_time_and_other_modes_send_a_minute() {
        assert_eq!(prost_duration(Mode::Try(Duration::from_secs(5)).try_timeout()).seconds, 5);
        assert_eq!(prost_duration(Mode::Auto.try_timeout()).seconds, 60);
    }
}
