//! `ichor explode` turns a cluster file into records, for pipes that begin with a script.

use record::table::{self, Row};
use record::{Failure, Node};
use step::{Flags, Job, Run, Source, Step, Stop, StreamFlags};

/// Command-line arguments; the summary above them comes from the table of steps.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    stream: StreamFlags,
}

/// The first row of the table: reads the cluster file.
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
