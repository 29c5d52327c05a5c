//! Tasks under way: which locks they take in which order, how long each step takes, and what they do in the end.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

use super::locks::Lock;
use super::reply::{Refusal, Reply};
use super::state::{Call, Effect, State};
use super::task_kind::{Download, TaskKind};
use super::{backup, destroy, disks, snapshots, storage};
use lab_core::disk_image::Found;

/// A step of a task.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Takes a lock, and waits for it no longer than so many seconds.
    Take {
        /// The lock.
        lock: Lock,
        /// Seconds of a real cluster.
        seconds: u32,
        /// Whether others may hold it as well.
        shared: bool,
    },
    /// Takes the lock of a storage to free a volume, or leaves the volume behind.
    Free {
        /// The volume.
        volume: String,
        /// The lock.
        lock: Lock,
    },
    /// Gives a lock back.
    Give(Lock),
    /// Marks the VM, where the work does that before its main part.
    Prepare,
    /// Takes time.
    Pass(Duration),
}

/// A task under way.
#[derive(Debug, Clone)]
pub(crate) struct TaskRun {
    /// What it does in the end.
    pub(crate) work: TaskKind,
    /// Whether it overrides the `lock` of a VM.
    skips_lock: bool,
    steps: VecDeque<Step>,
    /// The volume that is to be freed once a lock is to be had.
    freeing: Option<String>,
    /// Counts the waits, so that the end of an earlier one does not end a later one.
    waits: u32,
}

fn take(lock: Lock, seconds: u32) -> Step {
    Step::Take { lock, seconds, shared: false }
}

impl State {
    /// Starts a task; the reply is its identifier.
    pub(crate) fn begin(&mut self, call: &Call<'_>, node: &str, work: TaskKind) -> Result<Reply, Refusal> {
        if self.faults.workers > 0 {
            self.faults.workers -= 1;
            return Err(Refusal::failed("got no worker upid - start worker failed"));
        }
        let upid = self.tasks.begin(node, work.kind(), &work.id(), call.token, call.now).upid.clone();
        let url = call.param("url").filter(|_| matches!(work, TaskKind::Download(Download { verdict: None, .. })));
        let fetch = url.map(|url| Effect::Fetch { upid: upid.clone(), url: url.to_owned() });
        let steps = if fetch.is_some() { VecDeque::new() } else { self.steps(node, &work) };
        let skips_lock = call.param("skiplock") == Some("1");
        self.jobs.insert(upid.clone(), TaskRun { work, skips_lock, steps, freeing: None, waits: 0 });
        self.effects.push_back(fetch.unwrap_or_else(|| Effect::Run { upid: upid.clone(), delay: Duration::ZERO }));
        Ok(Value::String(upid).into())
    }

    /// What a task does before its work is done.
    fn steps(&mut self, node: &str, work: &TaskKind) -> VecDeque<Step> {
        let time = self.time_of(work);
        let mut steps = VecDeque::new();
        let vm = work.vm().filter(|_| work.takes_vm());
        // A clone holds its source as well, for reading if it is switched off.
        if let TaskKind::Clone { vmid, .. } = work {
            let shared = self.vms.get(vmid).is_none_or(|vm| vm.running.is_none());
            steps.push_back(Step::Take { lock: Lock::Vm(*vmid), seconds: 1, shared });
        }
        let seconds = if matches!(work, TaskKind::Create { .. } | TaskKind::Clone { .. }) { 1 } else { 10 };
        steps.extend(vm.map(|vmid| take(Lock::Vm(vmid), seconds)));
        if work.marks() {
            steps.push_back(Step::Prepare);
            steps.extend(vm.map(|vmid| Step::Give(Lock::Vm(vmid))));
        }
        if let TaskKind::Destroy(removal) = work {
            for (volume, lock) in destroy::volumes(self, removal.vmid) {
                let free = Step::Free { volume, lock: lock.clone() };
                steps.extend([free, Step::Pass(self.settings.delays.allocate), Step::Give(lock)]);
            }
        }
        for lock in self.storages_of(node, work) {
            steps.extend([take(lock.clone(), 10), Step::Pass(self.settings.delays.allocate), Step::Give(lock)]);
        }
        steps.push_back(Step::Pass(time));
        if let TaskKind::Create { params, .. } = work
            && params.contains_key("pool")
        {
            steps.push_back(take(Lock::users(), 10));
        }
        steps.extend(vm.filter(|_| work.marks()).map(|vmid| take(Lock::Vm(vmid), 10)));
        steps
    }

    fn time_of(&mut self, work: &TaskKind) -> Duration {
        let delays = self.settings.delays;
        let usual = match work {
            TaskKind::Create { .. } => delays.create,
            TaskKind::Download(_) => delays.download,
            _ => delays.task,
        };
        self.faults.slow(work.kind()).unwrap_or(usual)
    }

    /// The locks of the storages on which a task allocates or frees, one entry a volume.
    fn storages_of(&self, node: &str, work: &TaskKind) -> Vec<Lock> {
        let names: Vec<String> = match work {
            TaskKind::Create { params, .. } => disks::allocations(params),
            TaskKind::Configure { change, .. } => disks::allocations(&change.params),
            TaskKind::Clone { vmid, storage, .. } => {
                self.disks_of(*vmid).into_iter().map(|own| storage.clone().unwrap_or(own)).collect()
            }
            TaskKind::Move { storage, .. } => vec![storage.clone()],
            TaskKind::Free { volume, .. } => {
                storage::split(volume).map(|(name, _)| name.to_owned()).into_iter().collect()
            }
            _ => Vec::new(),
        };
        let storages = names.iter().filter_map(|name| self.storage(name).ok());
        storages.map(|storage| Lock::of_storage(node, &storage)).collect()
    }

    fn disks_of(&self, vmid: u32) -> Vec<String> {
        let Some(vm) = self.vms.get(&vmid) else { return Vec::new() };
        let files = super::clone::volumes_of(vm).into_iter();
        files.filter_map(|file| storage::split(&file).map(|(name, _)| name.to_owned())).collect()
    }

    /// How long a wait of so many seconds on a real cluster lasts here.
    pub(crate) fn patience(&self, seconds: u32) -> Duration {
        self.settings.delays.lock * seconds / 10
    }

    /// Whether a lock is to be had; a call that cannot have it waits so many seconds, and what it says then begins so.
    pub(crate) fn locked(&self, lock: &Lock, seconds: u32, before: &str) -> Result<(), Refusal> {
        match self.locks.is_free(lock) {
            true => Ok(()),
            false => Err(Refusal::Busy { lock: lock.clone(), seconds, text: format!("{before}{}", lock.timed_out()) }),
        }
    }

    /// Whether users, rights and pools may be changed; what is said if not begins so.
    pub(crate) fn users_locked(&mut self, before: &str) -> Result<(), Refusal> {
        match self.faults.cluster_lock("file-user_cfg") {
            Some(text) => Err(Refusal::Slow(format!("{before}{text}"))),
            None => self.locked(&Lock::users(), 10, before),
        }
    }

    /// Goes on with a task until it has to wait.
    pub(crate) fn advance(&mut self, upid: &str, now: u64) {
        while let Some(job) = self.jobs.get_mut(upid) {
            match job.steps.pop_front() {
                None => return self.finish(upid, now),
                Some(Step::Pass(delay)) => {
                    return self.effects.push_back(Effect::Run { upid: upid.to_owned(), delay });
                }
                Some(Step::Take { lock, seconds, shared }) => {
                    job.freeing = None;
                    if !self.enters(upid, &lock, seconds, shared) {
                        return;
                    }
                }
                Some(Step::Free { volume, lock }) => {
                    job.freeing = Some(volume);
                    if !self.enters(upid, &lock, 10, false) {
                        return;
                    }
                }
                Some(Step::Give(lock)) => self.give(&lock, upid),
                Some(Step::Prepare) => {
                    let (mut work, skips) = (job.work.clone(), job.skips_lock);
                    let ready = self.guarded(&work, skips);
                    if let Err(text) = ready.and_then(|()| snapshots::prepare(self, &mut work, now)) {
                        self.jobs.remove(upid);
                        return self.end(upid, Err(text), now);
                    }
                    if let Some(job) = self.jobs.get_mut(upid) {
                        job.work = work;
                    }
                }
            }
        }
    }

    /// Takes a lock, or lets the task wait for it.
    fn enters(&mut self, upid: &str, lock: &Lock, seconds: u32, shared: bool) -> bool {
        let Some(job) = self.jobs.get_mut(upid) else { return false };
        job.waits += 1;
        let wait = job.waits;
        let free = self.locks.take(lock, upid, shared);
        if !free {
            self.note(upid, &lock.waiting());
            let delay = self.patience(seconds);
            self.effects.push_back(Effect::GiveUp { upid: upid.to_owned(), wait, delay });
        }
        free
    }

    /// Gives a lock back to who stands in line for it.
    pub(crate) fn give(&mut self, lock: &Lock, name: &str) {
        let next = self.locks.give(lock, name);
        self.resume(lock, &next);
    }

    fn resume(&mut self, lock: &Lock, admitted: &[String]) {
        for upid in admitted {
            if let Some(line) = lock.acquired() {
                self.note(upid, line);
            }
            self.effects.push_back(Effect::Run { upid: upid.clone(), delay: Duration::ZERO });
        }
    }

    fn note(&mut self, upid: &str, line: &str) {
        if let Some(task) = self.tasks.get_mut(upid) {
            task.note(line);
        }
    }

    /// A task has waited for a lock as long as it may.
    pub(crate) fn give_up(&mut self, upid: &str, wait: u32, now: u64) {
        let Some(lock) = self.locks.awaited(upid).cloned() else { return };
        let Some(job) = self.jobs.get_mut(upid).filter(|job| job.waits == wait) else { return };
        if let Some(volume) = job.freeing.take() {
            return self.leave_behind(upid, volume, &lock);
        }
        let work = job.work.clone();
        self.jobs.remove(upid);
        let text = match (&work, &lock) {
            (TaskKind::Create { vmid, .. }, Lock::Local { .. }) => {
                format!("unable to create VM {vmid} - {}", lock.timed_out())
            }
            (TaskKind::Create { vmid, .. }, Lock::Cluster(name)) if name.starts_with("storage-") => {
                format!("unable to create VM {vmid} - {}", lock.timed_out())
            }
            (TaskKind::Clone { .. }, Lock::Local { .. } | Lock::Cluster(_)) => {
                format!("clone failed: {}", lock.timed_out())
            }
            _ => lock.timed_out(),
        };
        self.undo(&work);
        self.end(upid, Err(text), now);
    }

    /// A volume stays, as the lock of its storage was not to be had; the task goes on with the next one.
    fn leave_behind(&mut self, upid: &str, volume: String, lock: &Lock) {
        self.locks.give(lock, upid);
        if let Some(task) = self.tasks.get_mut(upid) {
            task.warn(&destroy::left_behind(&volume, lock));
        }
        let Some(job) = self.jobs.get_mut(upid) else { return };
        // Neither the time that freeing takes nor the lock is needed now.
        job.steps.drain(..2);
        if let TaskKind::Destroy(removal) = &mut job.work {
            removal.kept.push(volume);
        }
        self.effects.push_back(Effect::Run { upid: upid.to_owned(), delay: Duration::ZERO });
    }

    /// Takes back what a task has begun; it has no volumes yet.
    fn undo(&mut self, work: &TaskKind) {
        match work {
            TaskKind::Create { vmid, .. } | TaskKind::Clone { newid: vmid, .. } => drop(self.vms.remove(vmid)),
            TaskKind::Backup(wanted) => backup::unmark(self, wanted),
            _ => {}
        }
    }

    /// Ends a task and gives its locks to who stands in line for them.
    fn end(&mut self, upid: &str, outcome: Result<(), String>, now: u64) {
        if let Some(task) = self.tasks.get_mut(upid) {
            task.end(outcome, now);
        }
        for (lock, next) in self.locks.leave(upid) {
            self.resume(&lock, &next);
        }
    }

    /// Does the work of a task and ends it.
    fn finish(&mut self, upid: &str, now: u64) {
        let Some(job) = self.jobs.remove(upid) else { return };
        let mut log = Vec::new();
        let node = self.tasks.get(upid).map(|task| task.node.clone()).unwrap_or_default();
        let guarded = if job.work.marks() { Ok(()) } else { self.guarded(&job.work, job.skips_lock) };
        let guarded = self.placed(&job.work, &node).and(guarded).and_then(|()| self.unhindered(&job.work, &node));
        let outcome = guarded.and_then(|()| self.run(job.work, now, &mut log));
        log.iter().for_each(|line| self.note(upid, line));
        self.end(upid, outcome, now);
    }

    /// Ends a task without its work; what it had begun is taken back.
    pub(crate) fn abort(&mut self, upid: &str, now: u64) {
        let Some(job) = self.jobs.remove(upid) else { return };
        self.undo(&job.work);
        self.end(upid, Err("received interrupt".to_owned()), now);
    }

    /// Refuses work on a VM that is not on the host where the task runs, any more or at all.
    fn placed(&self, work: &TaskKind, node: &str) -> Result<(), String> {
        let Some(vmid) = work.vm().filter(|_| work.needs_vm()) else { return Ok(()) };
        match self.vms.get(&vmid).is_some_and(|vm| vm.node == node) {
            true => Ok(()),
            false => Err(format!("Configuration file 'nodes/{node}/qemu-server/{vmid}.conf' does not exist")),
        }
    }

    /// Refuses work that a host without quorum cannot do.
    fn unhindered(&self, work: &TaskKind, node: &str) -> Result<(), String> {
        let Some(vmid) = work.vm() else { return Ok(()) };
        let settles =
            matches!(work, TaskKind::Start(_)) && self.vms.get(&vmid).is_some_and(|vm| !vm.pending.is_empty());
        match work.writes() || settles {
            true => self.writable(node, vmid),
            false => Ok(()),
        }
    }

    /// Refuses work on a VM whose `lock` forbids it.
    fn guarded(&self, work: &TaskKind, skips: bool) -> Result<(), String> {
        let Some(vm) = work.vm().filter(|_| !skips).and_then(|vmid| self.vms.get(&vmid)) else { return Ok(()) };
        // A template is refused as such, whatever its lock.
        let template = matches!(work, TaskKind::Start(_)) && vm.is_set("template");
        match vm.config.get("lock").filter(|_| !template) {
            Some(lock) if work.minds(lock, vm.running.is_some()) => Err(format!("VM is locked ({lock})")),
            _ => Ok(()),
        }
    }

    /// Whether the task must wait because a test holds its VM back.
    pub(crate) fn is_held(&self, upid: &str) -> bool {
        let name = match self.jobs.get(upid).map(|job| &job.work) {
            Some(TaskKind::Create { params, .. }) => params.get("name").cloned(),
            Some(work) => work.id().parse().ok().and_then(|vmid: u32| self.vms.get(&vmid).map(|vm| vm.name(vmid))),
            None => None,
        };
        name.is_some_and(|name| self.faults.holds(&name))
    }

    /// A file from the network has arrived, or not; says how long the rest of the task takes.
    pub(crate) fn fetched(&mut self, upid: &str, found: Result<Found, String>) -> Duration {
        if let Some(TaskRun { work: TaskKind::Download(download), .. }) = self.jobs.get_mut(upid) {
            download.found = Some(found);
        }
        self.faults.slow("download").unwrap_or(self.settings.delays.download)
    }
}
