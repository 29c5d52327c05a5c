//! The first config of a node in maintenance mode.

use patience::Deadline;
use record::{Change, Effect, Failure, Impact, Role};
use step::{Hold, Stop, Written};
use talos_client::{Class, Delivery as Asked, Error, Limits, Maintenance, Mode, NotOurs, Probe, Stage, probe};

use crate::{delivery::Delivery, error};

/// The result of sending a config.
enum Sent {
    /// The node accepted it.
    Taken,
    /// The reply was lost; the node may have accepted it.
    Unknown,
}

/// The state of a node after its config was sent.
enum After {
    /// Maintenance is over; `verified` if the node was seen to run the config.
    Over { verified: bool },
    /// It is still, or again, in maintenance mode.
    Again(Box<Maintenance>),
}

impl Delivery<'_> {
    /// Sends the first config, and waits until the node runs it.
    ///
    /// A lost reply doesn't fail: the node is probed again, and the config sent again if it is still in maintenance
    /// mode.
    pub(crate) async fn first(&self, mut found: Box<Maintenance>) -> Result<Written, Stop> {
        self.can_be_first()?;
        let deadline = Deadline::within(self.run.wait_timeout());
        let fingerprint = found.fingerprint.to_string();
        self.warn_of_another_image(&found);
        loop {
            let sent = self.send(&found).await?;
            // A node that can't take it now is not asked again at once.
            let mut looks = u32::from(matches!(sent, Sent::Taken));
            let look = || {
                looks += 1;
                self.after(&sent, looks == 1)
            };
            let waiting = self.run.wait(self.node).deadline(deadline).until(look).await?;
            match waiting {
                After::Again(again) => found = again,
                After::Over { verified } => {
                    self.run.say(self.node, if verified { "configured" } else { "configured, not verified yet" });
                    let mut applied = self.applied("applied", verified);
                    applied.fingerprint = Some(fingerprint);
                    let changes = vec![first_config()];
                    return Ok(Written::field(&applied, Effect::Changed).changes(changes));
                }
            }
        }
    }

    /// Refuses modes that a node in maintenance doesn't know: `staged` leaves it there, and `try` reverts to no config at
    /// all, after which a real node is unreachable until somebody reboots it (seen on 1.13.9).
    pub(crate) fn can_be_first(&self) -> Result<(), error::Error> {
        match self.allowed.mode {
            Mode::Staged => Err(error::Error::ModeAtFirst("staged")),
            Mode::Try(_) => Err(error::Error::ModeAtFirst("try")),
            Mode::Auto | Mode::NoReboot | Mode::Reboot => Ok(()),
        }
    }

    fn warn_of_another_image(&self, found: &Maintenance) {
        if let talos_client::Generation::Unified(version) = &found.generation
            && !self.versions.talos.is_empty()
            && !talos_releases::Version::same(&version.tag, &self.versions.talos)
        {
            let (name, wanted) = (self.node.name(), &self.versions.talos);
            self.run.warn(&format!("node {name} was booted from Talos {}, but the file says {wanted}", version.tag));
        }
    }

    async fn send(&self, found: &Maintenance) -> Result<Sent, Stop> {
        let _slot = self.run.slot(self.node).await?;
        let unverified = match self.pins.is_empty() {
            true => format!(" (certificate not verified; fingerprint {})", found.fingerprint),
            false => String::new(),
        };
        self.run.say(self.node, &format!("sending the first config{unverified}"));
        let asked = Asked { mode: Mode::Auto, dry_run: false };
        match found.node.apply_configuration(self.wanted.text.as_bytes(), asked).await {
            Ok(applied) => {
                for warning in &applied.warnings {
                    self.run.warn(&format!("node {}: {warning}", self.node.name()));
                }
                Ok(Sent::Taken)
            }
            // The API may have stopped already, or another run may be applying a config.
            Err(error) if error.class() == Class::Retry => Ok(Sent::Unknown),
            // Everybody may send the first config. Who may not has met the server that is about to stop, because another
            // run's config was taken (seen on 1.13.9).
            Err(Error::NotAuthorized { .. }) => Ok(Sent::Unknown),
            Err(error) => Err(refused(error).into()),
        }
    }

    async fn after(&self, sent: &Sent, at_once: bool) -> Result<After, Hold> {
        if at_once {
            return Err(Hold::not_yet("another run may be configuring it"));
        }
        let never_seen = self.wanted.role == Role::Worker || self.identity.is_none();
        match probe(&self.address, self.identity.as_deref(), Limits::default()).await? {
            Probe::Maintenance(found) if matches!(sent, Sent::Unknown) && found.status.stage == Stage::Maintenance => {
                self.is_known(&found).await?;
                Ok(After::Again(found))
            }
            Probe::Maintenance(found) => Err(Hold::not_yet(format!("leaving maintenance ({})", found.status))),
            Probe::Ours(found) => self.verify(&found.node).await,
            Probe::NotOurs(_) if self.identity.is_none() => Ok(After::Over { verified: false }),
            Probe::NotOurs(NotOurs::OtherCluster(seen) | NotOurs::NoCredentials(seen)) => {
                Err(Error::Foreign { address: self.address.clone(), seen }.into())
            }
            // A worker's API starts when a control plane signs its certificate, maybe long after this step.
            Probe::Absent(_) | Probe::Booting(_) if never_seen => Ok(After::Over { verified: false }),
            Probe::Absent(error) | Probe::Booting(error) | Probe::Hanging(error) => Err(Hold::in_spite_of(&error)),
        }
    }

    async fn verify(&self, node: &talos_client::Node) -> Result<After, Hold> {
        match node.machine_config().await? {
            Some(running) if self.wanted.is_run_by(&running) => Ok(After::Over { verified: true }),
            _ => Err(Hold::NotYet(node.because("it doesn't run the new config yet").await)),
        }
    }
}

/// The first config as a change: Talos installs itself and reboots.
pub(crate) fn first_config() -> Change {
    Change::new("machine config", Impact::Reboot).to("the first config")
}

/// The node's own message about a config that it refuses: it names the document and the field. The diff that may follow
/// is left out: it shows the secrets around each change, and where the configs differ was said before.
pub(crate) fn refused(error: Error) -> Failure {
    let words = error.message().map(|words| words.split_once("\ndiff:\n").map_or(words, |(why, _)| why));
    match words {
        Some(words) if words.contains("failed to parse config") || matches!(error, Error::Invalid { .. }) => {
            error::refused_by_node(words)
        }
        _ => error.into(),
    }
}
