//! One cell: the operation with its fault, then the same again without.

use std::time::Duration;

use lab::pve::Fault;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::cells::{Cell, Fate};
use crate::operations::{Before, Operation, assert_done, assert_nothing_lost};
use crate::support::{SOON, World};

/// How often the same command is run before it must have done its work.
const AGAIN: usize = 3;

/// How many calls each operation makes when nothing goes wrong.
pub(crate) async fn calls_of_all() -> Vec<(Operation, u64)> {
    let counts = Operation::ALL.map(|operation| {
        tokio::spawn(async move {
            let world = operation.prepared().await;
            let (before, asked) = (Before::of(&world), world.lab.pve().requests().len());
            world.sh(operation.command()).await.exits(0);
            assert_done(operation, Fate::Late, &world, &before);
            (operation, u64::try_from(world.lab.pve().requests().len() - asked).unwrap())
        })
    });
    let mut calls = Vec::new();
    for count in counts {
        calls.push(count.await.unwrap());
    }
    calls
}

/// Runs one cell.
pub(crate) async fn cell(cell: Cell) {
    let Cell { operation, call, fate } = cell;
    let world = operation.prepared().await;
    let before = Before::of(&world);
    world.lab.pve().fault_call(call, fault(fate));
    let first = match fate {
        Fate::KilledBefore | Fate::KilledAfter => killed(&world, operation).await,
        _ => world.sh(operation.command()).await.status,
    };
    world.lab.pve().heal();
    settled(&world).await;
    assert_nothing_lost(operation, &world, &before);
    if first == 0 {
        assert_done(operation, fate, &world, &before);
    }
    let mut statuses = vec![first];
    for _ in 0..AGAIN {
        let outcome = world.sh(operation.command()).await;
        assert!(matches!(outcome.status, 0 | 4 | 5), "{cell}, run again after {statuses:?}: {outcome}");
        assert_nothing_lost(operation, &world, &before);
        statuses.push(outcome.status);
        if outcome.status == 0 {
            break;
        }
    }
    assert_eq!(statuses.last(), Some(&0), "{cell}: it never gets done: {statuses:?}");
    assert_done(operation, Fate::Late, &world, &before);
    let writes = world.lab.pve().writes();
    world.sh(operation.command()).await.exits(0);
    assert_eq!(world.lab.pve().writes(), writes, "{cell}: one more run still changes something");
}

fn fault(fate: Fate) -> Fault {
    let refused = |status, message: &str| Fault::Fail { status, message: message.to_owned() };
    match fate {
        Fate::ReplyLost => Fault::LoseReply,
        Fate::Busy => refused(500, "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout\n"),
        Fate::Broken => refused(596, ""),
        Fate::Forbidden => refused(403, "Permission check failed (/vms/100, VM.Audit)\n"),
        Fate::Late => Fault::Slow { by: Some(Duration::from_millis(300)) },
        Fate::KilledBefore => Fault::Hang,
        // Longer than anybody waits: it is done, and nobody learns of it.
        Fate::KilledAfter => Fault::Slow { by: Some(Duration::from_secs(3600)) },
    }
}

/// Runs the command, and kills it as soon as the call has come.
async fn killed(world: &World, operation: Operation) -> i32 {
    let mut command = world.scratch.command(operation.command());
    let mut child = command.spawn().unwrap();
    let group = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    let ended = tokio::select! {
        ended = child.wait() => Some(ended.unwrap().code().unwrap_or(-1)),
        () = world.lab.pve().until(lab::pve::Pve::has_met_fault) => None,
    };
    match ended {
        // It made fewer calls this time.
        Some(status) => status,
        None => {
            kill_process_group(group, Signal::KILL).unwrap();
            let _killed = child.wait().await;
            137
        }
    }
}

/// Waits until tasks that were begun have ended.
async fn settled(world: &World) {
    let quiet = world.lab.pve().until(|pve| pve.tasks().iter().all(|task| task.exit.is_some()));
    tokio::time::timeout(SOON, quiet).await.expect("the tasks of the lab end");
}
