//! What was typed.

use std::path::PathBuf;

use clap::{ArgMatches, Command, CommandFactory, FromArgMatches, Parser};

/// Make the VMs on Proxmox VE be as the spec says.
#[derive(Debug, clap::Parser)]
#[command(about = "Make the VMs on Proxmox VE be as the spec says")]
pub(crate) struct Typed {
    /// What to do.
    #[arg(value_enum, default_value = "ensure")]
    pub(crate) verb: Verb,

    #[command(flatten)]
    pub(crate) flags: step::Flags,

    /// File with the API token, instead of PROXMOX_VE_API_TOKEN.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// Allow changes that reboot a running VM.
    #[arg(long)]
    pub(crate) reboot: bool,

    /// Allow removing a VM and making it anew, for changes that nothing else can make. What is on its disk is lost.
    #[arg(long)]
    pub(crate) recreate: bool,

    /// Destroy without asking.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Verb {
    /// Create what is missing, change what differs, start what is off, find the addresses.
    Ensure,
    /// Say what `ensure` would do; the same as --dry-run.
    Plan,
    /// Stop and remove the VMs of these nodes.
    Destroy,
    /// Say which VMs there are.
    List,
    /// Check that Proxmox VE has everything that `ensure` needs.
    Doctor,
}

/// What was typed, with `plan` understood.
#[derive(Debug)]
pub(crate) struct Args(pub(crate) Typed);

impl CommandFactory for Args {
    fn command() -> Command {
        Typed::command()
    }

    fn command_for_update() -> Command {
        Typed::command_for_update()
    }
}

impl FromArgMatches for Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut typed = Typed::from_arg_matches(matches)?;
        typed.flags.dry_run |= typed.verb == Verb::Plan;
        Ok(Self(typed))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl Parser for Args {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plan_is_a_dry_run_and_flags_may_stand_on_both_sides_of_the_verb() {
        Typed::command().debug_assert();
        assert!(Args::parse_from(["pve-vm", "plan"]).0.flags.dry_run);
        assert!(!Args::parse_from(["pve-vm"]).0.flags.dry_run);
        let args = Args::parse_from(["pve-vm", "-f", "a.yaml", "destroy", "--yes"]).0;
        assert_eq!((args.verb, args.yes, args.flags.file.as_deref()), (Verb::Destroy, true, Some("a.yaml")));
    }
}
