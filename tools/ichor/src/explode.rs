//! `ichor explode`: a cluster file in, records out, and nothing else: for pipes whose first step is a script.

use record::table::{self, Row};
use record::{Failure, Node};
use step::{Flags, Job, Run, Source, Step, Stop, StreamFlags};

/// What was typed; what the program does is said by its row in the table of steps.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    stream: StreamFlags,
}

/// The first row of the table: what whoever reads the cluster file does.
pub(crate) struct Explode;

impl Step for Explode {
    type Args = Args;
    type Shared = ();

    const ROWS: &'static [&'static Row] = &[&table::EXPLODE];

    fn flags(args: &Args) -> Flags {
        args.stream.clone().into()
    }

    fn prepare(_: Args) -> Result<Job<Self>, Failure> {
        Ok(Job::Stream(Self, Source::Input))
    }

    async fn cluster(&self, _: Run) -> Result<(), Stop> {
        Ok(())
    }

    fn acts_on(&self, _: &Node) -> bool {
        false
    }
}
