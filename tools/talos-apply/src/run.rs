//! The step.

use std::sync::OnceLock;

use record::{
    Change, Code, Contact, Effect, Exit, Failure, Impact, Lock, Node, Role,
    spec::ClusterSpec,
    status::{self, Applied, Power},
    table::{self, Row},
};
use rolling::Queue;
use step::{Flags, Hold, Job, Need, Run, Source, Step, Stop, Written};
use talos_access::Credentials;
use talos_client::Fingerprint;

use crate::{
    alone::{self, Prepared},
    args::Args,
    change::Allowed,
    delivery::{Delivery, Observed},
    error::Error,
    first::first_config,
    plan::{Versions, Wanted},
};

/// Applies machine configs.
pub(crate) struct Apply {
    allowed: Allowed,
    credentials: Credentials,
    queue: Queue,
    /// `--require-fingerprint`
    is_wary: bool,
    alone: Option<Alone>,
}

/// Settings without a stream.
struct Alone {
    wanted: Wanted,
    insecure: bool,
    pins: Vec<Fingerprint>,
    /// What is lost with the patches, in words.
    lost: Vec<String>,
}

impl Step for Apply {
    type Args = Args;
    type Shared = ();

    const ROWS: &'static [&'static Row] = &[&table::TALOS_APPLY];

    fn detail(node: &Node) -> String {
        node.get::<Applied>().ok().flatten().map(|applied| applied.outcome).unwrap_or_default()
    }

    fn flags(args: &Args) -> Flags {
        Flags::from(args.stream.clone()).parallel(args.parallel).wait(args.wait)
    }

    fn prepare(args: Args) -> Result<Job<Self>, Failure> {
        args.check()?;
        let (alone, source) = if args.talos.is_alone() {
            let Prepared { wanted, source, lost } = alone::prepare(&args)?;
            let (insecure, pins) = (args.insecure.insecure, args.insecure.cert_fingerprints.clone());
            (Some(Alone { wanted, insecure, pins, lost }), source)
        } else {
            refuse_lone_flags(&args)?;
            (None, Source::Input)
        };
        let queue = if alone.is_some() { Queue::default() } else { Queue::of_stream() };
        let allowed = Allowed { mode: args.api_mode(), reboot: args.reboot, other_machine: args.other_machine };
        let credentials = args
            .talos
            .credentials(!args.insecure.insecure)
            .map_err(|failure| failure.hint("name one with --talosconfig; a node in maintenance needs only -i"))?;
        let is_wary = args.require_fingerprint;
        Ok(Job::Stream(Self { allowed, credentials, queue, is_wary, alone }, source))
    }

    async fn cluster(&self, run: Run) -> Result<(), Stop> {
        let lost = self.alone.iter().flat_map(|alone| &alone.lost);
        lost.for_each(|lost| run.warn(lost));
        Ok(())
    }

    async fn node(&self, run: Run, (): &(), node: &Node) -> Result<Written, Stop> {
        let Some(delivery) = self.delivery(&run, node).await? else {
            if node.is_planned::<status::Seed>() {
                // It comes up with its config.
                return Ok(planned(
                    node,
                    vec![Change::new("machine config", Impact::Reboot).to("the first config, by its seed")],
                ));
            }
            let planned = if node.address().is_some() { "config is only planned" } else { "address is not known yet" };
            return Ok(self.unasked(&run, node, &format!("its {planned}, so it was not asked")));
        };
        if run.is_dry_run() {
            return self.plan(&delivery).await;
        }
        let seen = delivery.until_seen().await?;
        if !matches!(seen, Observed::Bare(_)) {
            self.was_met(&run, node)?;
        }
        match seen {
            Observed::Same(found, has) => {
                delivery.warn_of_what_does_not_run(&found).await;
                Ok(delivery.unchanged(has))
            }
            Observed::Bare(_) if self.is_strict() => Err(Error::Maintenance.into()),
            Observed::Bare(_) if node.has::<status::Seed>() => Err(Error::Seeded(delivery.address.to_string()).into()),
            Observed::Bare(found) => {
                let written = delivery.first(found).await?;
                self.was_met(&run, node)?;
                Ok(written)
            }
            Observed::Differs(found, _) => {
                delivery.warn_of_what_does_not_run(&found).await;
                drop(found);
                delivery.change(&self.queue).await
            }
        }
    }
}

impl Apply {
    /// Everything that the delivery needs; `None` if an earlier dry run only planned it.
    async fn delivery<'a>(&self, run: &'a Run, node: &'a Node) -> Result<Option<Delivery<'a>>, Stop> {
        let Some(wanted) = self.wanted(run, node)? else { return Ok(None) };
        let identity = match &self.alone {
            Some(alone) if alone.insecure => None,
            _ => match self.credentials.get(run).await? {
                Some(identity) => Some(identity),
                None => return Ok(None),
            },
        };
        let vm: Option<status::Vm> = run.want(node)?;
        let seed: Option<status::Seed> = run.want(node)?;
        if seed.is_none() {
            is_on(vm.as_ref())?;
        }
        if run.is_dry_run() && (node.address().is_none() || node.is_planned::<status::Seed>()) {
            return Ok(None);
        }
        let address = talos_access::address(run, node)?;
        step::protect(machine_config::secret_values(&wanted.config));
        let pins = self.pins(run, node, vm.as_ref())?;
        let versions = versions(&run.cluster().typed_spec()?, &wanted);
        let is_wary = self.is_wary;
        let (is_alone, allowed, other) = (self.alone.is_some(), self.allowed, OnceLock::new());
        let pinned =
            Delivery { run, node, address, identity, pins, is_wary, is_alone, vm, wanted, versions, allowed, other };
        Ok(Some(pinned))
    }

    /// The config that the record refers to; `None` if a dry run has only planned it.
    fn wanted(&self, run: &Run, node: &Node) -> Result<Option<Wanted>, Stop> {
        if let Some(alone) = &self.alone {
            return Ok(Some(alone.wanted.clone()));
        }
        let Need::Here(config) = run.need::<status::Config>(node)? else { return Ok(None) };
        let bytes = talos_access::config_bytes(run, &config)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Failure::new(Exit::Unusable, Code::MachineConfig, "the machine config is not UTF-8"))?;
        let role = if node.is_control_plane() { Role::ControlPlane } else { Role::Worker };
        Ok(Some(Wanted::read(text, Some(role))?))
    }

    /// The fingerprints by which the node is known: what the file says, and what the console of its VM told this run or an
    /// earlier one.
    fn pins(&self, run: &Run, node: &Node, vm: Option<&status::Vm>) -> Result<Vec<Fingerprint>, Failure> {
        if let Some(alone) = &self.alone {
            return Ok(alone.pins.clone());
        }
        let written = node.typed_spec()?.fingerprint;
        let told = vm.map(|vm| vm.fingerprints.as_slice()).unwrap_or_default();
        let texts = written.iter().map(|text| ("spec.fingerprint", text));
        let texts = texts.chain(told.iter().map(|text| ("status.vm.fingerprints", text)));
        // Records that don't come from a run of `pve-vm` say nothing of it.
        let is_its = |contact: &Contact| vm.and_then(|vm| vm.id).is_none_or(|id| id == contact.vm);
        let contact = run.dir()?.lock()?.and_then(|lock| lock.contact(node.name()));
        let contact = contact.filter(|contact| told.is_empty() && contact.is_open() && is_its(contact));
        let known = contact.map(|contact| contact.fingerprints).unwrap_or_default();
        let texts = texts.chain(known.iter().map(|text| ("ichor.lock: contacts", text)));
        let parse = |(place, text): (&str, &String)| {
            let wrong = |error| Failure::new(Exit::Unusable, Code::UnusableInput, format!("{place}: {error}"));
            text.parse::<Fingerprint>().map_err(wrong)
        };
        texts.map(parse).collect()
    }

    /// Notes that a node has its config: from now on that proves who it is, and nobody resets it to see its certificate.
    fn was_met(&self, run: &Run, node: &Node) -> Result<(), Failure> {
        if self.alone.is_some() {
            return Ok(());
        }
        let dir = run.dir()?;
        let is_open = |lock: &Lock| lock.contact(node.name()).filter(Contact::is_open);
        if dir.lock()?.as_deref().and_then(is_open).is_none() {
            return Ok(());
        }
        dir.update_lock(|lock| {
            if let Some(contact) = is_open(lock) {
                lock.remember_contact(node.name(), &Contact { is_configured: true, ..contact });
            }
        })
    }

    /// Whether a node in maintenance mode is refused: as with talosctl, it needs `--insecure`.
    fn is_strict(&self) -> bool {
        self.alone.as_ref().is_some_and(|alone| !alone.insecure)
    }

    /// Reports what would be done, from one look at the node.
    async fn plan(&self, delivery: &Delivery<'_>) -> Result<Written, Stop> {
        match delivery.look().await {
            Ok(Observed::Same(found, has)) => {
                delivery.warn_of_what_does_not_run(&found).await;
                Ok(delivery.unchanged(has))
            }
            Ok(Observed::Bare(_)) if self.is_strict() => Err(Error::Maintenance.into()),
            Ok(Observed::Bare(_)) if delivery.node.has::<status::Seed>() => {
                Err(Error::Seeded(delivery.address.to_string()).into())
            }
            Ok(Observed::Differs(found, differences)) => {
                delivery.warn_of_what_does_not_run(&found).await;
                match delivery.plan_change(found, differences).await {
                    Ok(written) => Ok(written),
                    Err(hold) => self.not_known(delivery, hold),
                }
            }
            Ok(Observed::Bare(_)) => {
                delivery.can_be_first()?;
                Ok(planned(delivery.node, delivery.needing(vec![first_config()])))
            }
            Err(hold) => self.not_known(delivery, hold),
        }
    }

    /// The plan for a node that couldn't be asked now.
    fn not_known(&self, delivery: &Delivery<'_>, hold: Hold) -> Result<Written, Stop> {
        match hold {
            Hold::NotYet(reason) => Ok(self.unasked(delivery.run, delivery.node, &reason)),
            Hold::Failed(failure) => Err(failure.into()),
        }
    }

    /// The plan for a node that wasn't asked what it runs. Only one whose VM is still to be created certainly gets its
    /// first config.
    fn unasked(&self, run: &Run, node: &Node, why: &str) -> Written {
        if is_to_be_created(node) {
            return planned(node, vec![first_config()]);
        }
        run.say(node, &format!("changes not known: {why}"));
        // Without the flag, no change reboots a running node.
        let impact = if self.allowed.reboot { Impact::Reboot } else { Impact::Live };
        planned(node, vec![Change::new("machine config", impact)])
    }
}

/// Whether the node's VM is planned and doesn't exist yet.
fn is_to_be_created(node: &Node) -> bool {
    let vm = node.get::<status::Vm>().ok().flatten();
    node.is_planned::<status::Vm>() && vm.is_some_and(|vm| vm.id.is_none())
}

/// Refuses a node whose VM was left off, also in a plan: nothing would switch it on.
fn is_on(vm: Option<&status::Vm>) -> Result<(), Error> {
    match vm {
        Some(status::Vm { power: Some(Power::Stopped), id, node, .. }) => {
            Err(Error::Off(id.map_or_else(|| "the node's VM".to_owned(), |id| format!("VM {id} on {node}"))))
        }
        _ => Ok(()),
    }
}

/// The field of a node for which this is only planned.
fn planned(node: &Node, changes: Vec<Change>) -> Written {
    let address = node.address().unwrap_or_default().to_owned();
    let applied = Applied { address, outcome: "applied".to_owned(), ..Applied::default() };
    Written::field(&applied, Effect::Pending).changes(changes)
}

fn versions(spec: &ClusterSpec, wanted: &Wanted) -> Versions {
    let kubernetes = spec.kubernetes.version.clone();
    let kubernetes = kubernetes.or_else(|| wanted.config.kubernetes_version().map(str::to_owned));
    Versions { talos: spec.talos.version.clone(), kubernetes: kubernetes.unwrap_or_default() }
}

/// Refuses flags that have no effect in a stream.
fn refuse_lone_flags(args: &Args) -> Result<(), Failure> {
    let lone = [
        ("--insecure", args.insecure.insecure),
        ("--cert-fingerprint", !args.insecure.cert_fingerprints.is_empty()),
        ("--config-patch", !args.patches.is_empty()),
        ("--talosconfig", args.talos.talosconfig.is_some()),
    ];
    match lone.iter().find(|(_, given)| *given) {
        Some((flag, _)) => Err(Failure::new(Exit::Usage, Code::Usage, format!("{flag} needs -n"))
            .hint("in the pipe, credentials, patches and fingerprints come with the records")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_flag_that_only_works_without_a_stream_is_refused_in_one() {
        let refused = |words: &[&str]| refuse_lone_flags(&Args::parse_from([&["talos-apply"], words].concat()));
        for words in [
            &["--insecure"][..],
            &["--cert-fingerprint", "AAAAMqbUZ/sQyDW1o4kP6c1u1PoB2gRQu8KEV38guAM="],
            &["-p", "machine: {}"],
            &["--talosconfig", "x"],
        ] {
            let failure = refused(words).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.message.contains("needs -n"), "{words:?}: {}", failure.message);
        }
        assert!(refused(&["--mode", "staged", "--dry-run"]).is_ok());
    }
}
