//! What a test or a scenario makes of a running hypervisor: what goes wrong, and what others did to it.

use std::time::Duration;

use lab_core::fault::ProxmoxState;

use super::state::Vm;
use super::{Fault, Lock, Pve, Storage, create, driver, faults};

/// Who holds a lock that a test took.
const SOMEBODY: &str = "somebody";

impl Pve {
    /// Fails the next creations of a VM with this name, with this text in the task.
    pub fn fail_create(&self, name: &str, text: &str, times: usize) {
        self.driver.with(|state| state.faults.fail_create(name, text, times));
    }

    /// Lets the next allocations on a storage time out at its lock.
    pub fn lock_storage(&self, storage: &str, times: usize) {
        self.driver.with(|state| state.faults.lock_storage(storage, times));
    }

    /// Refuses the next tasks with `got no worker upid`.
    pub fn refuse_workers(&self, times: u32) {
        self.driver.with(|state| state.faults.workers = times);
    }

    /// Makes the next task of a type (`qmstart` …) take this long.
    pub fn slow_task(&self, kind: &str, time: Duration) {
        self.driver.with(|state| state.faults.slow_task(kind, time));
    }

    /// Lets tasks of the VM with this name stay unfinished until it is released.
    pub fn hold(&self, name: &str) {
        self.driver.with(|state| state.faults.hold(name));
    }

    /// Lets tasks of the VM with this name go on.
    pub fn release(&self, name: &str) {
        self.driver.with(|state| state.faults.release(name));
    }

    /// Refuses to read the VM with this name from now on.
    pub fn refuse_reads_of(&self, name: &str) {
        self.driver.with(|state| state.faults.refuse_reads(name));
    }

    /// Takes back everything that was to go wrong, and lets go of what was held.
    pub fn heal(&self) {
        self.driver.with(|state| state.faults = faults::Faults::default());
    }

    /// Lets the next request with this method and this text in its path go wrong.
    pub fn fault(&self, method: &str, path: &str, fault: Fault) {
        self.driver.with(|state| state.faults.request(method, path, fault));
    }

    /// Lets the request after `before` others go wrong, whatever it is.
    pub fn fault_call(&self, before: u64, fault: Fault) {
        self.driver.with(|state| state.faults.count_down(before, fault));
    }

    /// Whether the request of [`Pve::fault_call`] has come.
    pub fn has_met_fault(&self) -> bool {
        self.driver.with(|state| state.faults.is_counted_down())
    }

    /// Accepts connections from now on and leaves them alone, or stops doing so.
    pub fn hang(&self, hanging: bool) {
        self.driver.with(|state| state.faults.hanging = hanging);
    }

    /// Takes a host off the network; after a while the others fence it and recover its managed VMs.
    pub fn take_offline(&self, node: &str) {
        let ((), _none) = self.driver.act(|state| state.lose(node, driver::now()));
    }

    /// Brings a host back.
    pub fn bring_online(&self, node: &str) {
        self.driver.with(|state| state.regain(node));
    }

    /// Cuts a host off from the majority of the cluster, so that it can write nothing, or brings it back to it.
    pub fn cut_off(&self, node: &str, cut: bool) {
        self.driver.with(|state| match cut {
            true => state.faults.minority.insert(node.to_owned()),
            false => state.faults.minority.remove(node),
        });
    }

    /// Restarts the cluster's file system of the host that answers: names and figures of VMs are unknown until their
    /// hosts say them again, which those that are offline don't.
    pub fn forget_broadcasts(&self) {
        self.driver.with(|state| state.forget_broadcasts(driver::now()));
    }

    /// The VM IDs of which the next free one is given out; the upper bound is not one of them.
    pub fn set_next_ids(&self, lower: u32, upper: u32) {
        self.driver.with(|state| state.next_ids = (lower, upper));
    }

    /// Adds a VM that somebody else made, switched off.
    pub fn add_vm(&self, id: u32, node: &str, options: &[(&str, &str)]) {
        let config = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let vm = Vm { node: node.to_owned(), config, changed: driver::now(), ..Vm::default() };
        self.driver.with(|state| state.vms.insert(id, vm));
    }

    /// Lets Proxmox VE's own DHCP hand out an address.
    pub fn add_lease(&self, address: &str, mac: &str) {
        self.driver.with(|state| state.leases.push((address.to_owned(), mac.to_owned())));
    }

    /// Adds somebody's VM with this name on the first host, and tells its ID.
    pub fn add_foreign_vm(&self, name: &str) -> u32 {
        let (id, node) = self.driver.with(|state| {
            let free = (100..).find(|id| !state.vms.contains_key(id)).unwrap_or_default();
            (free, state.settings.nodes.first().cloned().unwrap_or_default())
        });
        self.add_vm(id, &node, &[("name", name), ("memory", "2048"), ("ostype", "l26")]);
        id
    }

    /// Sets an option behind the back of everybody, or removes it.
    pub fn set_option(&self, id: u32, option: &str, value: Option<&str>) {
        self.driver.with(|state| {
            let Some(vm) = state.vms.get_mut(&id) else { return };
            match value {
                Some(value) => vm.config.insert(option.to_owned(), value.to_owned()),
                None => vm.config.remove(option),
            };
        });
    }

    /// Removes a VM with its disks, whatever its state.
    pub fn remove_vm(&self, id: u32) {
        let ((), _none) = self.driver.act(|state| create::vanish(state, id, driver::now()));
    }

    /// Holds the lock of a VM's configuration, so that the next changes that need it time out.
    pub fn lock_vm(&self, id: u32, times: usize) {
        self.driver.with(|state| state.faults.lock_vm(id, times));
    }

    /// Takes a lock and keeps it until it is given back: whoever needs it waits, and gives up in time.
    pub fn take_lock(&self, lock: &Lock) {
        self.driver.with(|state| state.locks.take(lock, SOMEBODY, false));
    }

    /// Gives back a lock that was taken so.
    pub fn give_lock(&self, lock: &Lock) {
        let ((), _none) = self.driver.act(|state| state.give(lock, SOMEBODY));
    }

    /// Holds a lock of the whole cluster (`file-user_cfg` …), so that the next changes that need it time out.
    pub fn lock_cluster(&self, name: &str, times: usize) {
        self.driver.with(|state| state.faults.lock_cluster(name, times));
    }

    /// Lets a host take calls, act on them and answer too late, or behave again.
    pub fn answer_late(&self, node: &str, late: bool) {
        self.driver.with(|state| match late {
            true => state.faults.late.insert(node.to_owned()),
            false => state.faults.late.remove(node),
        });
    }

    /// Makes a state of a host, a VM (by name or ID) or a storage wrong, or right again; says whether it is there.
    pub fn set_state(&self, state: ProxmoxState, target: &str, wrong: bool) -> bool {
        let vm = || self.vms().into_iter().find(|vm| vm.name == target || vm.id.to_string() == target);
        let lock = |lock: &Lock| if wrong { self.take_lock(lock) } else { self.give_lock(lock) };
        match state {
            ProxmoxState::HostOffline if wrong => self.take_offline(target),
            ProxmoxState::HostOffline => self.bring_online(target),
            ProxmoxState::HostRestarted if wrong => self.forget_broadcasts(),
            ProxmoxState::HostRestarted => {}
            ProxmoxState::NoQuorum => self.cut_off(target, wrong),
            ProxmoxState::HostLate => self.answer_late(target, wrong),
            ProxmoxState::VmLocked => return vm().map(|vm| lock(&Lock::Vm(vm.id))).is_some(),
            ProxmoxState::StorageLocked => {
                let storage = self.driver.with(|state| state.storage(target).ok());
                let Some(storage) = storage else { return false };
                self.hosts().iter().for_each(|host| lock(&Lock::of_storage(host, &storage)));
            }
            ProxmoxState::TasksHeld if wrong => self.hold(target),
            ProxmoxState::TasksHeld => self.release(target),
            ProxmoxState::ShutdownIgnored => return vm().map(|vm| self.ignore_shutdown(vm.id, wrong)).is_some(),
        }
        true
    }

    /// Adds a user who can log in, with privileges by path; rights of the user's tokens end where the user's end.
    pub fn add_user(&self, name: &str, password: &str, grants: &[(&str, &[&str])]) {
        self.driver.with(|state| state.access.add_user(name, password, grants));
    }

    /// Gives a user a second factor: one-time passwords by time, made with this secret.
    pub fn add_totp(&self, user: &str, secret: &[u8]) {
        self.driver.with(|state| {
            if let Some(account) = state.access.directory.users.get_mut(user) {
                account.totp = Some(secret.to_vec());
            }
        });
    }

    /// Gives the lab's own token every privilege there is.
    pub fn grant_everything(&self) {
        self.driver.with(|state| state.access.grant_everything(&state.settings.token));
    }

    /// Lets the guest of a VM ignore requests to shut down, or heed them again.
    pub fn ignore_shutdown(&self, id: u32, ignore: bool) {
        self.driver.with(|state| state.faults.deafen(id, ignore));
    }

    /// Adds a file to a storage that nobody downloaded; it holds no Talos.
    pub fn add_image(&self, node: &str, storage: &str, content: &str, file: &str, size: u64) {
        let found = lab_core::disk_image::Found::unknown(file, size);
        self.driver.with(|state| {
            let Ok(storage) = state.storage(storage) else { return };
            state.volumes.store(&storage, node, content, file, found, driver::now());
        });
    }

    /// Replaces what an image (`local:import/talos.qcow2`) holds by so many bytes of garbage; says whether it is there.
    pub fn spoil_image(&self, node: &str, volume: &str, size: u64) -> bool {
        self.driver.with(|state| {
            let storage = volume.split(':').next().and_then(|name| state.storage(name).ok());
            storage.and_then(|storage| state.volumes.spoil(&storage, node, volume, size)).is_some()
        })
    }

    /// Moves a VM to another host.
    pub fn migrate(&self, id: u32, node: &str) {
        self.driver.with(|state| {
            if let Some(vm) = state.vms.get_mut(&id) {
                vm.node = node.to_owned();
            }
        });
    }

    /// Adds a token with privileges by path, or replaces it.
    pub fn add_token(&self, name: &str, secret: &str, grants: &[(&str, &[&str])]) {
        self.driver.with(|state| state.access.add(name, secret, grants));
    }

    /// Names of the hosts.
    pub fn hosts(&self) -> Vec<String> {
        self.driver.with(|state| state.settings.nodes.clone())
    }

    /// Adds an image of Talos to a storage, as if it had been downloaded.
    pub fn add_talos_image(&self, node: &str, storage: &str, file: &str, image: &lab_core::machine::Image) {
        let found = lab_core::disk_image::Found {
            virtual_size: lab_core::disk_image::VIRTUAL_SIZE,
            image: Some(image.clone()),
            ..lab_core::disk_image::Found::unknown(file, 100 << 20)
        };
        self.driver.with(|state| {
            let Ok(storage) = state.storage(storage) else { return };
            state.volumes.store(&storage, node, "import", file, found, driver::now());
        });
    }

    /// Makes a call as the lab's own token, without the network between.
    pub fn call(&self, method: &str, path: &str, params: &[(&str, &str)]) -> anyhow::Result<()> {
        let token = self.driver.with(|state| state.settings.token.clone());
        self.call_as(&token, method, path, params)
    }

    /// Makes a call as this user (`root@pam`) or token, without the network between.
    pub fn call_as(&self, who: &str, method: &str, path: &str, params: &[(&str, &str)]) -> anyhow::Result<()> {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = super::dispatch::Request { method, path, params };
        let (reply, _none) = self.driver.act(|state| {
            let token = state.access.named(who);
            super::dispatch::answer(state, &token, request, driver::now())
        });
        reply.map(|_| ()).map_err(|refusal| anyhow::anyhow!("{method} {path}: {}", refusal.text()))
    }

    /// Adds a job that makes backups of these VMs: `100,101`.
    pub fn add_backup_job(&self, id: &str, vmids: &str) {
        self.driver.with(|state| state.ties.add_job(id, vmids));
    }

    /// Adds a rule to the firewall of a VM.
    pub fn add_firewall_rule(&self, vmid: u32) {
        self.driver.with(|state| state.ties.add_rule(vmid));
    }

    /// Adds a pool.
    pub fn add_pool(&self, name: &str) {
        self.driver.with(|state| state.pools.insert(name.to_owned(), Default::default()));
    }

    /// Adds a storage, which every host has.
    pub fn add_storage(&self, storage: Storage) {
        self.driver.with(|state| state.settings.storages.push(storage));
    }

    /// Replaces the storages.
    pub fn set_storages(&self, storages: Vec<Storage>) {
        self.driver.with(|state| state.settings.storages = storages);
    }
}
