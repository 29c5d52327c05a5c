//! Who waits for whom, in virtual time: the state machine alone, with a clock that jumps from one event to the next.

use super::super::dispatch::{self, Request};
use super::super::locks::Lock;
use super::super::reply::Refusal;
use super::super::state::{Effect, State};
use super::*;

/// A hypervisor whose clock is a number.
struct Sim {
    state: State,
    clock: Duration,
    /// What is to happen, by time and order.
    agenda: BTreeMap<(Duration, usize), Effect>,
    count: usize,
    /// When each task ended.
    ended: BTreeMap<String, Duration>,
}

const SECOND: Duration = Duration::from_secs(1);
const ROOT: &str = "root@pam";

impl Sim {
    /// One host with VMs 100 and 101, a folder and a pool; everything takes a second.
    fn new() -> Self {
        let delays = Delays { create: SECOND, task: SECOND, lock: 10 * SECOND, ..Delays::ZERO };
        let storages = vec![Storage::new("local", super::super::StorageKind::Dir, &["images", "backup"])];
        let settings = Settings { delays, storages, token: ROOT.to_owned(), ..Settings::default() };
        let mut state = State::new(settings, String::new(), Arc::new(Guests::default()));
        state.pools.insert("p".to_owned(), Default::default());
        for vmid in [100, 101] {
            let config = [("memory", "512"), ("smbios1", UUIDS[vmid as usize - 100])];
            let config = config.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
            let vm = super::super::state::Vm { node: "pve1".to_owned(), config, ..Default::default() };
            state.vms.insert(vmid, vm);
        }
        Self { state, clock: Duration::ZERO, agenda: BTreeMap::new(), count: 0, ended: BTreeMap::new() }
    }

    fn seconds(&self) -> u64 {
        self.clock.as_secs()
    }

    /// Makes a call now; gives the task, or the refusal.
    fn call(&mut self, method: &str, path: &str, params: &[(&str, &str)]) -> Result<String, Refusal> {
        let params = params.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let token = self.state.access.named(ROOT);
        let now = self.seconds();
        let reply = dispatch::answer(&mut self.state, &token, Request { method, path, params }, now);
        self.settle();
        reply.map(|reply| reply.data.as_str().unwrap_or_default().to_owned())
    }

    fn settle(&mut self) {
        while let Some(effect) = self.state.effects.pop_front() {
            let delay = match &effect {
                Effect::Run { delay, .. } | Effect::GiveUp { delay, .. } | Effect::Manage { delay, .. } => *delay,
                _ => Duration::ZERO,
            };
            self.count += 1;
            self.agenda.insert((self.clock + delay, self.count), effect);
        }
        let running = |upid: &String| self.state.tasks.get(upid).is_some_and(super::super::task::Task::is_running);
        let all: Vec<String> = self.state.tasks.newest_first().map(|task| task.upid.clone()).collect();
        for upid in all.into_iter().filter(|upid| !running(upid)) {
            self.ended.entry(upid).or_insert(self.clock);
        }
    }

    /// Lets time pass until then.
    fn until(&mut self, end: Duration) {
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((time, _), effect) = entry.remove_entry();
            self.clock = time;
            let now = self.seconds();
            match effect {
                Effect::Run { upid, .. } => self.state.advance(&upid, now),
                Effect::GiveUp { upid, wait, .. } => self.state.give_up(&upid, wait, now),
                Effect::Manage { vmid, .. } => self.state.manage(vmid, now),
                Effect::On(machine) => self.state.guests.power_on(*machine),
                Effect::Off(uuid) => self.state.guests.power_off(&uuid),
                _ => {}
            }
            self.settle();
        }
        self.clock = end;
    }

    /// How a task ended, and in which second.
    fn outcome(&mut self, upid: &str) -> (u64, String) {
        self.until(self.clock + 600 * SECOND);
        let exit = self.state.tasks.get(upid).and_then(|task| task.exit()).expect("every task ends").to_owned();
        (self.ended[upid].as_secs(), exit)
    }
}

const UUIDS: [&str; 2] = ["uuid=11111111-2222-4333-8444-000000000100", "uuid=11111111-2222-4333-8444-000000000101"];
const VM_LOCK: &str = "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout";
const STORAGE_LOCK: &str = "can't lock file '/var/lock/pve-manager/pve-storage-local' - got timeout";

/// A call: method, what follows the host, parameters.
type Made = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const START: Made = ("POST", "/qemu/100/status/start", &[]);
const STOP: Made = ("POST", "/qemu/100/status/stop", &[]);
const SHUTDOWN: Made = ("POST", "/qemu/100/status/shutdown", &[]);
const SNAPSHOT: Made = ("POST", "/qemu/100/snapshot", &[("snapname", "before")]);
const BACKUP: Made = ("POST", "/vzdump", &[("vmid", "100"), ("storage", "local")]);
const CONFIG: Made = ("PUT", "/qemu/100/config", &[("memory", "1024")]);
const CONFIG_LATER: Made = ("POST", "/qemu/100/config", &[("memory", "1024")]);
const FORCED: Made = ("PUT", "/qemu/100/config", &[("memory", "1024"), ("skiplock", "1")]);
const FORCED_START: Made = ("POST", "/qemu/100/status/start", &[("skiplock", "1")]);
const TEMPLATE: Made = ("POST", "/qemu/100/template", &[]);
const RESIZE: Made = ("PUT", "/qemu/100/resize", &[("disk", "scsi0"), ("size", "1G")]);
const CLONE: Made = ("POST", "/qemu/100/clone", &[("newid", "200")]);
const DESTROY: Made = ("DELETE", "/qemu/100", &[]);
const CREATE: Made = ("POST", "/qemu", &[("vmid", "300"), ("scsi0", "local:1")]);
const CREATED_CONFIG: Made = ("PUT", "/qemu/300/config", &[("memory", "1024")]);
const CREATED_START: Made = ("POST", "/qemu/300/status/start", &[]);

/// What the second call meets.
enum Meets {
    /// Its task ends in this second, like this.
    Ends(u64, &'static str),
    /// It is refused at once.
    Refused(&'static str),
    /// It waits for so many seconds, then says this.
    Waits(u32, &'static str),
    /// It is done at once.
    Done,
}

/// A first call, how long its task takes, and what a second one made a second later meets.
const MEETINGS: &[(Made, &str, u64, Made, Meets)] = &[
    (START, "qmstart", 4, STOP, Meets::Ends(5, "OK")),
    (START, "qmstart", 4, SHUTDOWN, Meets::Ends(5, "OK")),
    (START, "qmstart", 60, STOP, Meets::Ends(11, VM_LOCK)),
    (START, "qmstart", 60, DESTROY, Meets::Ends(11, VM_LOCK)),
    (START, "qmstart", 60, SNAPSHOT, Meets::Ends(11, VM_LOCK)),
    (START, "qmstart", 60, CONFIG, Meets::Waits(10, VM_LOCK)),
    (START, "qmstart", 60, CONFIG_LATER, Meets::Ends(11, VM_LOCK)),
    (START, "qmstart", 60, CLONE, Meets::Ends(2, VM_LOCK)),
    (CLONE, "qmclone", 60, ("POST", "/qemu/100/clone", &[("newid", "201")]), Meets::Ends(2, "OK")),
    (CLONE, "qmclone", 60, START, Meets::Ends(11, VM_LOCK)),
    (CREATE, "qmcreate", 60, CREATED_CONFIG, Meets::Refused("VM is locked (create)")),
    (CREATE, "qmcreate", 5, CREATED_START, Meets::Ends(6, "OK")),
    (SNAPSHOT, "qmsnapshot", 60, CONFIG, Meets::Refused("VM is locked (snapshot)")),
    (SNAPSHOT, "qmsnapshot", 60, CONFIG_LATER, Meets::Refused("VM is locked (snapshot)")),
    (SNAPSHOT, "qmsnapshot", 60, TEMPLATE, Meets::Refused("VM is locked (snapshot)")),
    (SNAPSHOT, "qmsnapshot", 60, CLONE, Meets::Refused("VM is locked (snapshot)")),
    (SNAPSHOT, "qmsnapshot", 60, FORCED, Meets::Done),
    (SNAPSHOT, "qmsnapshot", 60, START, Meets::Ends(2, "VM is locked (snapshot)")),
    (SNAPSHOT, "qmsnapshot", 60, FORCED_START, Meets::Ends(2, "OK")),
    (SNAPSHOT, "qmsnapshot", 60, STOP, Meets::Ends(2, "OK")),
    (BACKUP, "vzdump", 60, START, Meets::Ends(2, "VM is locked (backup)")),
    (BACKUP, "vzdump", 60, RESIZE, Meets::Ends(2, "VM is locked (backup)")),
    (BACKUP, "vzdump", 60, DESTROY, Meets::Ends(2, "VM is locked (backup)")),
    (BACKUP, "vzdump", 60, SNAPSHOT, Meets::Ends(1, "VM is locked (backup)")),
    (BACKUP, "vzdump", 60, BACKUP, Meets::Ends(2, "job errors")),
];

#[test]
fn who_comes_second_waits_is_refused_or_gives_up_as_on_the_real_one() {
    for (first, kind, time, second, meets) in MEETINGS {
        let mut sim = Sim::new();
        let at = |made: &Made| format!("/nodes/pve1{}", made.1);
        let what = format!("{} {} during {kind} of {time} s", second.0, second.1);
        sim.state.faults.slow_task(kind, Duration::from_secs(*time));
        sim.call(first.0, &at(first), first.2).expect("the first call is taken");
        sim.until(SECOND);
        let met = sim.call(second.0, &at(second), second.2);
        match (meets, met) {
            (Meets::Ends(end, text), Ok(upid)) => assert_eq!(sim.outcome(&upid), (*end, (*text).to_owned()), "{what}"),
            (Meets::Refused(text), Err(Refusal::Failed(said))) => assert_eq!(said, *text, "{what}"),
            (Meets::Waits(wait, text), Err(Refusal::Busy { seconds, text: said, .. })) => {
                assert_eq!((seconds, said.as_str()), (*wait, *text), "{what}");
            }
            (Meets::Done, Ok(_)) => {}
            (_, met) => panic!("{what}: {met:?}"),
        }
    }
}

#[test]
fn allocations_on_one_storage_queue_and_who_waits_too_long_leaves_nothing() {
    let mut sim = Sim::new();
    sim.state.settings.delays.allocate = 4 * SECOND;
    let made: Vec<String> = (0..4)
        .map(|number| {
            let vmid = (300 + number).to_string();
            let params = [("vmid", vmid.as_str()), ("scsi0", "local:1")];
            sim.call("POST", "/nodes/pve1/qemu", &params).expect("the claim is granted")
        })
        .collect();
    let ends = [(5, "OK".to_owned()), (9, "OK".to_owned()), (13, "OK".to_owned())];
    for (upid, end) in made.iter().zip(&ends) {
        assert_eq!(sim.outcome(upid), *end);
    }
    assert_eq!(sim.outcome(&made[3]), (10, format!("unable to create VM 303 - {STORAGE_LOCK}")));
    assert!(!sim.state.vms.contains_key(&303));
    let log = sim.state.tasks.get(&made[1]).expect("a task").log().join("|");
    assert!(log.starts_with("trying to acquire lock...| OK|"), "{log}");
}

#[test]
fn a_vm_that_goes_into_a_pool_needs_the_lock_of_the_users() {
    let mut sim = Sim::new();
    assert!(sim.state.locks.take(&Lock::users(), "somebody", false));
    let create = [("vmid", "300"), ("pool", "p")];
    let upid = sim.call("POST", "/nodes/pve1/qemu", &create).expect("the claim is granted");
    let text = "cfs-lock 'file-user_cfg' error: got lock request timeout";
    assert_eq!(sim.outcome(&upid), (11, text.to_owned()));
    assert!(!sim.state.vms.contains_key(&300));
    let refused = sim.call("POST", "/pools", &[("poolid", "q")]).expect_err("the lock is held");
    let Refusal::Busy { seconds: 10, text: said, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(said, format!("create pool failed: {text}"));
    sim.state.give(&Lock::users(), "somebody");
    let upid = sim.call("POST", "/nodes/pve1/qemu", &create).expect("the claim is granted");
    assert_eq!(sim.outcome(&upid).1, "OK");
}

#[test]
fn the_manager_of_high_availability_acts_after_a_while_and_not_on_what_was_taken_back() {
    let mut sim = Sim::new();
    sim.state.settings.delays.manage = 5 * SECOND;
    let runs = |sim: &Sim| sim.state.vms[&100].running.is_some();
    let order = |sim: &mut Sim, command: &str| {
        let upid = sim.call("POST", &format!("/nodes/pve1/qemu/100/status/{command}"), &[]).expect("it is taken");
        sim.until(sim.clock + SECOND);
        assert_eq!(sim.state.tasks.get(&upid).and_then(|task| task.exit()), Some("OK"), "{command}");
    };
    sim.call("POST", "/cluster/ha/resources", &[("sid", "vm:100")]).expect("it may");
    sim.until(4 * SECOND);
    assert!(!runs(&sim), "the manager hasn't looked yet");
    sim.until(5 * SECOND);
    assert!(runs(&sim));
    order(&mut sim, "stop");
    order(&mut sim, "start");
    sim.until(20 * SECOND);
    assert!(runs(&sim), "nothing was left to do");
    order(&mut sim, "shutdown");
    assert!(runs(&sim), "the task has ended and the VM runs on");
    sim.until(26 * SECOND);
    assert!(!runs(&sim));
}

#[test]
fn a_task_that_is_aborted_lets_the_next_one_in() {
    let mut sim = Sim::new();
    sim.state.faults.slow_task("qmstart", 60 * SECOND);
    let first = sim.call("POST", "/nodes/pve1/qemu/100/status/start", &[]).expect("a task");
    let second = sim.call("POST", "/nodes/pve1/qemu/100/status/start", &[]).expect("a task");
    sim.until(5 * SECOND);
    let escaped = first.replace(':', "%3A").replace('@', "%40");
    sim.call("DELETE", &format!("/nodes/pve1/tasks/{escaped}"), &[]).expect("it may");
    assert_eq!(sim.outcome(&second), (6, "OK".to_owned()));
    assert_eq!(sim.outcome(&first), (5, "received interrupt".to_owned()));
}

#[tokio::test]
async fn a_change_waits_for_the_lock_of_its_vm_and_goes_on_when_it_is_free() {
    let delays = Delays { lock: Duration::from_secs(60), ..Delays::ZERO };
    let world = World::start(Settings { delays, ..Settings::default() });
    world.pve.add_vm(100, "pve1", &[("memory", "512")]);
    world.pve.take_lock(&Lock::Vm(100));
    let change = [("memory", "1024")];
    let waiting = world.send(Method::PUT, "/nodes/pve1/qemu/100/config", &change);
    let freed = async {
        world.pve.until(|pve| pve.writes() == 1).await;
        world.pve.give_lock(&Lock::Vm(100));
    };
    let ((status, _), ()) = tokio::join!(waiting, freed);
    assert_eq!(status, StatusCode::OK);
    assert_eq!(world.pve.vm(100).unwrap().config["memory"], "1024");
}
