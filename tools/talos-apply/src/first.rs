//! The first config of a node in maintenance.

use patience::{Attempt, Deadline};
use record::{Change, Failure, Role};
use step::{Stop, Written};
use talos_access::failure;
use talos_client::{Class, Delivery as Asked, Error, Limits, Maintenance, Mode, Probe, Stage, Stranger, probe};

use crate::{delivery::Delivery, error};

/// How sending ended.
enum Sent {
    /// The node took it.
    Taken,
    /// No reply came; it may have been taken.
    Unknown,
}

/// What is seen of a node after it was sent its config.
enum After {
    /// Maintenance is over; whether it was seen to run the config.
    Over { verified: bool },
    /// It is still, or again, in maintenance.
    Again(Box<Maintenance>),
}

impl Delivery<'_> {
    /// Delivers the first config, and waits until the node has taken it over.
    ///
    /// A lost reply is no failure: the node is looked at again, and asked again if it is still in maintenance.
    pub(crate) async fn first(&self, mut found: Box<Maintenance>) -> Result<Written, Stop> {
        let deadline = Deadline::within(self.run.wait_timeout());
        let fingerprint = found.fingerprint.to_string();
        self.warn_of_another_image(&found);
        loop {
            let sent = self.send(&found).await?;
            let waiting = talos_access::until_for(self.run, Some(self.node), deadline, || self.after(&sent)).await?;
            match waiting {
                After::Again(again) => found = again,
                After::Over { verified } => {
                    self.run.say(self.node, if verified { "configured" } else { "configured, not verified yet" });
                    let mut applied = self.applied("applied", verified);
                    applied.fingerprint = Some(fingerprint);
                    return Ok(Written::field("applied", &applied, Change::Changed));
                }
            }
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
        let unpinned =
            if self.pins.is_empty() { format!(", unpinned: it shows {}", found.fingerprint) } else { String::new() };
        self.run.say(self.node, &format!("applying its first config{unpinned}"));
        let asked = Asked { mode: Mode::Auto, dry_run: false };
        match found.node.apply_configuration(self.wanted.text.as_bytes(), asked).await {
            Ok(applied) => {
                for warning in &applied.warnings {
                    self.run.warn(&format!("node {}: {warning}", self.node.name()));
                }
                Ok(Sent::Taken)
            }
            // The listener may be gone already, or another delivery may be under way.
            Err(error) if error.class() == Class::Retry => Ok(Sent::Unknown),
            Err(error) => Err(refused(&error).into()),
        }
    }

    async fn after(&self, sent: &Sent) -> Attempt<After, Failure> {
        let never_seen = self.wanted.role == Role::Worker || self.identity.is_none();
        match probe(&self.address, self.identity.as_deref(), Limits::default()).await {
            Ok(Probe::Maintenance(found))
                if matches!(sent, Sent::Unknown) && found.status.stage == Stage::Maintenance =>
            {
                Attempt::Ready(After::Again(found))
            }
            Ok(Probe::Maintenance(found)) => Attempt::NotYet(format!("leaving maintenance ({})", found.status)),
            Ok(Probe::Ours(found)) => self.verify(&found.node).await,
            Ok(Probe::SomeoneElses(_)) if self.identity.is_none() => Attempt::Ready(After::Over { verified: false }),
            Ok(Probe::SomeoneElses(Stranger::OtherCluster(seen) | Stranger::NoCredentials(seen))) => {
                Attempt::Failed(failure(&Error::Foreign { address: self.address.clone(), seen }))
            }
            // A worker has no API until a control plane signs its certificate, which may be long after this step.
            Ok(Probe::Absent(_) | Probe::Booting(_)) if never_seen => Attempt::Ready(After::Over { verified: false }),
            Ok(Probe::Absent(error) | Probe::Booting(error) | Probe::Hanging(error)) => Attempt::NotYet(error.chain()),
            Err(error) if error.class() == Class::Retry => Attempt::NotYet(error.chain()),
            Err(error) => Attempt::Failed(failure(&error)),
        }
    }

    async fn verify(&self, node: &talos_client::Node) -> Attempt<After, Failure> {
        match talos_access::attempt(node.machine_config().await) {
            Attempt::Ready(Some(running)) if self.wanted.is_run_by(&running) => {
                Attempt::Ready(After::Over { verified: true })
            }
            Attempt::Ready(_) => Attempt::NotYet("it doesn't run the new config yet".to_owned()),
            Attempt::NotYet(status) => Attempt::NotYet(status),
            Attempt::Failed(failure) => Attempt::Failed(failure),
        }
    }
}

/// The node's own words about a config that it doesn't take, which name the document and the field.
pub(crate) fn refused(error: &Error) -> Failure {
    let failure = failure(error);
    match error.words() {
        Some(words) if words.contains("failed to parse config") || matches!(error, Error::Invalid { .. }) => {
            error::refused_by_node(words)
        }
        _ => failure,
    }
}
