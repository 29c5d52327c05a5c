//! Command-line arguments.

use record::{Code, Exit, Failure};

use crate::parameters;

/// Command-line arguments; the summary above them comes from the table of steps.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    /// What to do.
    #[arg(value_enum, default_value = "ensure")]
    pub(crate) verb: Verb,

    #[command(flatten)]
    pub(crate) stream: step::StreamFlags,

    #[command(flatten)]
    pub(crate) parallel: step::ParallelFlag,

    #[command(flatten)]
    pub(crate) wait: step::WaitFlag,

    #[command(flatten)]
    pub(crate) token: pve_access::TokenFlag,

    /// Allow changes that switch a running VM off and on.
    #[arg(long)]
    pub(crate) reboot: bool,

    /// Allow destroying and recreating a VM where a change needs it (the data on its disks is lost).
    #[arg(long)]
    pub(crate) recreate: bool,

    /// Allow an empty disk in these slots, although there is a disk with data that shrinks, differs, or may be the missing
    /// one: it is kept, detached. With `--recreate`, the data on these disks is lost.
    #[arg(long, value_name = "NODE:SLOT", value_delimiter = ',')]
    pub(crate) replace_disk: Vec<Disk>,

    /// Move VMs and disks to the host and the storages that the file names. A VM that runs goes on running.
    #[arg(long)]
    pub(crate) migrate: bool,

    /// Don't start VMs that are off, also new ones: for `talos-seed`, which starts each with its config.
    #[arg(long)]
    pub(crate) stopped: bool,

    /// Switch off or destroy a control plane even though etcd may not do without it, or nobody can be asked. If it does
    /// not, etcd stands still; if too many members are destroyed, all Kubernetes objects are lost.
    #[arg(long)]
    pub(crate) ignore_etcd: bool,

    /// With `list`: add the cluster's VMs that the file doesn't list as nodes, so that later steps can act on them. With
    /// `destroy`: destroy these, and nothing else.
    #[arg(long)]
    pub(crate) orphans: bool,

    /// With `destroy`: destroy the VMs of these nodes, which the file doesn't list, and nothing else.
    #[arg(long, value_name = "NODE,...", value_delimiter = ',')]
    pub(crate) orphan: Vec<String>,

    /// With `adopt`: the VM that a node of the file gets, by VM ID or name.
    #[arg(long, value_name = "NODE:VM", value_delimiter = ',')]
    pub(crate) vm: Vec<Pair>,

    /// With `destroy` and `adopt`: don't ask for confirmation.
    #[arg(long)]
    pub(crate) yes: bool,

    /// With `destroy` in a pipe: act on every node of the cluster.
    #[arg(long)]
    pub(crate) all: bool,
}

/// A VM for a node: `w-1:105`, `w-1:worker-7`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) node: String,
    /// Its VM ID or name.
    pub(crate) vm: String,
}

impl std::str::FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':').filter(|(node, vm)| !node.is_empty() && !vm.is_empty()) {
            Some((node, vm)) => Ok(Self { node: node.to_owned(), vm: vm.to_owned() }),
            None => Err("a node and the ID or name of a VM, as in w-1:105".to_owned()),
        }
    }
}

/// A disk of a node: `w-1:scsi1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) node: String,
    pub(crate) slot: String,
}

impl std::str::FromStr for Disk {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_disk = |slot: &str| parameters::find(slot).is_some_and(|known| known.kind == parameters::Kind::Drive);
        match text.split_once(':').filter(|(node, slot)| !node.is_empty() && is_disk(slot)) {
            Some((node, slot)) => Ok(Self { node: node.to_owned(), slot: slot.to_owned() }),
            None => Err("a node and one of its disks, as in w-1:scsi1".to_owned()),
        }
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Verb {
    /// Create missing VMs, update the others, start them, and find their addresses.
    Ensure,
    /// Report what `ensure` would do; the same as --dry-run.
    Plan,
    /// Stop and destroy the VMs of these nodes.
    Destroy,
    /// Report the VMs that exist.
    List,
    /// Take existing VMs for nodes of the file, with their disks, UUIDs and MAC addresses; --dry-run shows what differs.
    Adopt,
    /// Check that Proxmox VE has everything that `ensure` needs.
    Doctor,
}

impl Args {
    /// Refuses flags that the verb doesn't use.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let makes = matches!(self.verb, Verb::Ensure | Verb::Plan);
        let destroys = self.verb == Verb::Destroy;
        let adopts = self.verb == Verb::Adopt;
        let lists = self.verb == Verb::List;
        let stray = [
            ("--reboot", self.reboot && !makes),
            ("--recreate", self.recreate && !makes),
            ("--replace-disk", !self.replace_disk.is_empty() && !makes),
            ("--migrate", self.migrate && !makes),
            ("--stopped", self.stopped && !makes),
            ("--ignore-etcd", self.ignore_etcd && !makes && !destroys),
            ("--orphans", self.orphans && !destroys && !lists),
            ("--orphan", !self.orphan.is_empty() && !destroys),
            ("--vm", !self.vm.is_empty() && !adopts),
            ("--yes", self.yes && !destroys && !adopts),
            ("--all", self.all && !destroys),
            ("--dry-run", self.stream.dry_run && matches!(self.verb, Verb::List | Verb::Doctor)),
            ("--only", !self.stream.only.is_empty() && (self.verb == Verb::Doctor || adopts)),
        ];
        if let Some((flag, _)) = stray.iter().find(|(_, is_stray)| *is_stray) {
            let message = format!("{flag} can't be used with `pve-vm {}`", self.verb.word());
            return Err(Failure::new(Exit::Usage, Code::Usage, message).hint(format!("remove {flag}")));
        }
        let chosen = [("--orphan", !self.orphan.is_empty()), ("--orphans", self.orphans && destroys)];
        let others = [("--only", !self.stream.only.is_empty() && !lists), ("--all", self.all)];
        step::exclusive(&[chosen, others].concat())?;
        self.check_vms()
    }

    /// Refuses an adoption of nothing, and two VMs for one node.
    fn check_vms(&self) -> Result<(), Failure> {
        let usage = |message: String| Failure::new(Exit::Usage, Code::Usage, message);
        if self.verb == Verb::Adopt && self.vm.is_empty() {
            let failure = usage("`pve-vm adopt` needs --vm".to_owned());
            return Err(failure.hint("name a node and its VM, as in --vm w-1:105; --dry-run shows what differs"));
        }
        let mut nodes: Vec<&str> = self.vm.iter().map(|pair| pair.node.as_str()).collect();
        nodes.sort_unstable();
        match nodes.windows(2).find(|two| two[0] == two[1]) {
            Some(two) => Err(usage(format!("--vm names two VMs for node {}", two[0]))),
            None => Ok(()),
        }
    }

    /// Which VMs that the file doesn't list this call is about.
    pub(crate) fn chosen(&self) -> Chosen {
        match self.verb {
            Verb::List if self.orphans => Chosen::Listed,
            Verb::Destroy if self.orphans => Chosen::All,
            Verb::Destroy if !self.orphan.is_empty() => Chosen::Named(self.orphan.clone()),
            Verb::Destroy if self.stream.only.is_empty() => Chosen::WithAll,
            Verb::Ensure | Verb::Plan | Verb::Destroy | Verb::List | Verb::Adopt | Verb::Doctor => Chosen::None,
        }
    }
}

/// Which VMs of the cluster that the file doesn't list a call is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chosen {
    None,
    /// All, beside the file's nodes, to be reported.
    Listed,
    /// All, and only these, are destroyed.
    All,
    /// These, and only these, are destroyed.
    Named(Vec<String>),
    /// All are destroyed with the whole cluster, if the cluster file itself is the input.
    WithAll,
}

impl Chosen {
    /// Whether the nodes of the file are left alone.
    pub(crate) fn is_alone(&self) -> bool {
        matches!(self, Self::All | Self::Named(_))
    }
}

impl Verb {
    /// Its name on the command line.
    fn word(self) -> String {
        clap::ValueEnum::to_possible_value(&self).map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};
    use step::Step;

    use super::*;
    use crate::run::PveVm;

    #[test]
    fn plan_is_a_dry_run_and_flags_may_stand_on_both_sides_of_the_verb() {
        Args::command().debug_assert();
        assert!(PveVm::flags(&Args::parse_from(["pve-vm", "plan"])).dry_run);
        assert!(!PveVm::flags(&Args::parse_from(["pve-vm"])).dry_run);
        let args = Args::parse_from(["pve-vm", "-f", "a.yaml", "destroy", "--yes"]);
        assert_eq!((args.verb, args.yes, args.stream.file.as_deref()), (Verb::Destroy, true, Some("a.yaml")));
    }

    #[test]
    fn a_disk_is_named_by_its_node_and_slot() {
        let args = Args::parse_from(["pve-vm", "--replace-disk", "w-1:scsi1,w-2:unused0"]);
        let named: Vec<_> = args.replace_disk.iter().map(|disk| (disk.node.as_str(), disk.slot.as_str())).collect();
        assert_eq!(named, [("w-1", "scsi1"), ("w-2", "unused0")]);
        for wrong in ["scsi1", "w-1", "w-1:disk", "w-1:scsi99", ":scsi1"] {
            assert!(Args::try_parse_from(["pve-vm", "--replace-disk", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn flags_that_the_verb_does_not_use_are_refused() {
        let check = |words: &[&str]| Args::parse_from([&["pve-vm"], words].concat()).check();
        for words in [
            &["list", "--recreate"][..],
            &["destroy", "--replace-disk", "w-1:scsi1"],
            &["list", "--ignore-etcd"],
            &["destroy", "--migrate"],
            &["destroy", "--reboot"],
            &["list", "--stopped"],
            &["destroy", "--stopped"],
            &["--yes"],
            &["--all"],
            &["doctor", "--only", "a"],
            &["list", "--dry-run"],
            &["--orphans"],
            &["doctor", "--orphans"],
            &["list", "--orphan", "w-2"],
            &["destroy", "--vm", "w-1:105"],
            &["adopt", "--vm", "w-1:105", "--only", "w-1"],
        ] {
            let failure = check(words).unwrap_err();
            assert!(failure.exit == Exit::Usage && failure.message.contains("can't be used with"), "{words:?}");
        }
        for words in [
            &["--reboot", "--recreate", "--stopped"][..],
            &["plan", "--reboot"],
            &["destroy", "--yes", "--all", "--ignore-etcd"],
            &["list", "--only", "a"],
            &["list", "--orphans", "--only", "w-9"],
            &["destroy", "--orphans", "--dry-run"],
            &["adopt", "--vm", "w-1:105,w-2:k8s-w2", "--yes"],
        ] {
            assert_eq!(check(words), Ok(()), "{words:?}");
        }
    }

    #[test]
    fn orphans_are_destroyed_alone_or_with_the_whole_cluster() {
        let args = |words: &[&str]| Args::parse_from([&["pve-vm"], words].concat());
        for other in [&["--only", "a"][..], &["--all"], &["--orphans"]] {
            let both = [&["destroy", "--orphan", "w-2"], other].concat();
            assert!(args(&both).check().unwrap_err().message.contains("can't be used together"), "{both:?}");
        }
        let chosen = |words: &[&str]| args(words).chosen();
        assert_eq!(chosen(&["destroy", "--orphan", "w-2,w-3"]), Chosen::Named(vec!["w-2".into(), "w-3".into()]));
        assert_eq!((chosen(&["destroy", "--orphans"]), chosen(&["list", "--orphans"])), (Chosen::All, Chosen::Listed));
        assert_eq!(chosen(&["destroy"]), Chosen::WithAll);
        for words in [&["destroy", "--only", "a"][..], &["list"], &["plan"], &[], &["doctor"]] {
            assert_eq!(chosen(words), Chosen::None, "{words:?}");
        }
    }

    #[test]
    fn an_adoption_names_one_vm_for_each_node() {
        let check = |words: &[&str]| Args::parse_from([&["pve-vm", "adopt"], words].concat()).check();
        assert!(check(&[]).unwrap_err().message.contains("needs --vm"));
        assert!(check(&["--vm", "w-1:105", "--vm", "w-1:106"]).unwrap_err().message.contains("two VMs for node w-1"));
        for wrong in ["105", "w-1:", ":105"] {
            assert!(Args::try_parse_from(["pve-vm", "adopt", "--vm", wrong]).is_err(), "{wrong}");
        }
    }
}
