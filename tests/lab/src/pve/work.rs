//! What tasks do when their time has come.

use std::time::Duration;

use serde_json::Value;

use super::reply::{Refusal, Reply};
use super::state::{Call, Config, Effect, State};
use super::{clone, config, content, create, ha, power};
use crate::disk_image::Found;

/// The work behind a task.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    /// Makes a VM whose ID was claimed.
    Create {
        /// Its ID.
        vmid: u32,
        /// The parameters of the call.
        params: Config,
        /// Whether its options may be set without the pool.
        may_tag: bool,
    },
    /// Changes options.
    Configure {
        /// The VM.
        vmid: u32,
        /// The parameters of the call.
        params: Config,
    },
    /// Grows a disk.
    Resize {
        /// The VM.
        vmid: u32,
        /// The drive.
        disk: String,
        /// The new size.
        size: String,
    },
    /// Switches on.
    Start(u32),
    /// Pulls the plug.
    Stop(u32),
    /// Asks the guest to switch itself off.
    Shutdown {
        /// The VM.
        vmid: u32,
        /// Whether to pull the plug if the guest does not heed the request.
        force: bool,
    },
    /// Shuts down and starts.
    Reboot(u32),
    /// Presses reset.
    Reset(u32),
    /// Removes a VM with its disks.
    Destroy(u32),
    /// Makes a VM a template.
    Template(u32),
    /// Copies a VM.
    Clone {
        /// The source.
        vmid: u32,
        /// The ID that was claimed for the copy.
        newid: u32,
        /// Where the disks go, if not beside the source's.
        storage: Option<String>,
    },
    /// Moves a VM.
    Migrate {
        /// The VM.
        vmid: u32,
        /// The host that it goes to.
        target: String,
        /// Whether the HA manager does it.
        managed: bool,
    },
    /// Tells the HA manager what is wanted of a VM.
    Manage {
        /// The VM.
        vmid: u32,
        /// `started` or `stopped`.
        wanted: &'static str,
    },
    /// Downloads an image.
    Download(Download),
    /// Puts an uploaded image in its place.
    Upload(Download),
    /// Removes a volume.
    Free {
        /// The host.
        node: String,
        /// The volume.
        volume: String,
    },
}

/// An image on its way into a storage.
#[derive(Debug, Clone)]
pub(crate) struct Download {
    /// The host.
    pub(crate) node: String,
    /// The storage.
    pub(crate) storage: String,
    /// The content type.
    pub(crate) content: String,
    /// The file name.
    pub(crate) file: String,
    /// Algorithm and digest to compare with.
    pub(crate) checksum: Option<(String, String)>,
    /// How it ends without asking the network, because the file is there already.
    pub(crate) verdict: Option<Result<(), String>>,
    /// What arrived.
    pub(crate) found: Option<Result<Found, String>>,
}

impl Work {
    fn kind(&self) -> &'static str {
        match self {
            Self::Create { .. } => "qmcreate",
            Self::Configure { .. } => "qmconfig",
            Self::Resize { .. } => "resize",
            Self::Start(_) => "qmstart",
            Self::Stop(_) => "qmstop",
            Self::Shutdown { .. } => "qmshutdown",
            Self::Reboot(_) => "qmreboot",
            Self::Reset(_) => "qmreset",
            Self::Destroy(_) => "qmdestroy",
            Self::Template(_) => "qmtemplate",
            Self::Clone { .. } => "qmclone",
            Self::Migrate { managed: true, .. } => "hamigrate",
            Self::Migrate { .. } => "qmigrate",
            Self::Manage { wanted: "started", .. } => "hastart",
            Self::Manage { .. } => "hastop",
            Self::Download(_) => "download",
            Self::Upload(_) => "imgcopy",
            Self::Free { .. } => "imgdel",
        }
    }

    fn id(&self) -> String {
        match self {
            Self::Create { vmid, .. } | Self::Configure { vmid, .. } | Self::Resize { vmid, .. } => vmid.to_string(),
            Self::Start(vmid) | Self::Stop(vmid) | Self::Shutdown { vmid, .. } => vmid.to_string(),
            Self::Reboot(vmid) | Self::Reset(vmid) | Self::Destroy(vmid) | Self::Template(vmid) => vmid.to_string(),
            Self::Clone { vmid, .. } | Self::Migrate { vmid, .. } | Self::Manage { vmid, .. } => vmid.to_string(),
            Self::Download(download) => download.file.clone(),
            Self::Upload(_) => String::new(),
            Self::Free { volume, .. } => volume.replace([':', '/'], "-"),
        }
    }
}

impl State {
    /// Starts a task; the reply is its identifier.
    pub(crate) fn begin(&mut self, call: &Call<'_>, node: &str, work: Work) -> Result<Reply, Refusal> {
        if self.faults.workers > 0 {
            self.faults.workers -= 1;
            return Err(Refusal::failed("got no worker upid - start worker failed"));
        }
        let upid = self.tasks.begin(node, work.kind(), &work.id(), call.token, call.now).upid.clone();
        let delay = self.time_of(&work) + self.wait_for_storages(&work);
        let effect = match (&work, call.param("url")) {
            (Work::Download(Download { verdict: None, .. }), Some(url)) => {
                Effect::Fetch { upid: upid.clone(), url: url.to_owned() }
            }
            _ => Effect::Run { upid: upid.clone(), delay },
        };
        self.works.insert(upid.clone(), work);
        self.effects.push_back(effect);
        Ok(Value::String(upid).into())
    }

    fn time_of(&mut self, work: &Work) -> Duration {
        let delays = self.settings.delays;
        let usual = match work {
            Work::Create { .. } => delays.create,
            Work::Download(_) => delays.download,
            _ => delays.task,
        };
        self.faults.slow(work.kind()).unwrap_or(usual)
    }

    /// How long a creation waits for the locks of its storages, and holds them.
    fn wait_for_storages(&mut self, work: &Work) -> Duration {
        let Work::Create { vmid, params, .. } = work else { return Duration::ZERO };
        let each = self.settings.delays.allocate;
        let node = self.vms.get(vmid).map(|vm| vm.node.clone()).unwrap_or_default();
        let mut total = Duration::ZERO;
        for name in super::disks::allocations(params) {
            let Ok(storage) = self.storage(&name) else { continue };
            match self.locks.allocate(&node, &storage, each) {
                Ok(time) => total += time,
                Err(waited) => {
                    self.faults.time_out(*vmid, &storage.name, storage.shared);
                    return total + waited;
                }
            }
        }
        total
    }

    /// Whether a test holds a task that has the lock of this VM.
    pub(crate) fn is_busy(&self, vmid: u32) -> bool {
        let of_vm = |work: &Work| !matches!(work, Work::Create { .. }) && work.id() == vmid.to_string();
        self.works.iter().any(|(upid, work)| of_vm(work) && self.is_held(upid))
    }

    /// Whether the task must wait because a test holds its VM back.
    pub(crate) fn is_held(&self, upid: &str) -> bool {
        let name = match self.works.get(upid) {
            Some(Work::Create { params, .. }) => params.get("name").cloned(),
            Some(work) => work.id().parse().ok().and_then(|vmid: u32| self.vms.get(&vmid).map(|vm| vm.name(vmid))),
            None => None,
        };
        name.is_some_and(|name| self.faults.holds(&name))
    }

    /// A file from the network has arrived, or not; says how long the rest of the task takes.
    pub(crate) fn fetched(&mut self, upid: &str, found: Result<Found, String>) -> Duration {
        if let Some(Work::Download(download)) = self.works.get_mut(upid) {
            download.found = Some(found);
        }
        self.faults.slow("download").unwrap_or(self.settings.delays.download)
    }

    /// Does the work of a task and ends it.
    pub(crate) fn finish(&mut self, upid: &str, now: u64) {
        let Some(work) = self.works.remove(upid) else { return };
        let mut log = Vec::new();
        let outcome = self.run(work, now, &mut log);
        if let Some(task) = self.tasks.get_mut(upid) {
            for line in log {
                task.note(line);
            }
            task.end(outcome, now);
        }
    }

    /// Ends a task without its work; what it had begun is taken back.
    pub(crate) fn abort(&mut self, upid: &str, now: u64) {
        match self.works.remove(upid) {
            Some(Work::Create { vmid, .. } | Work::Clone { newid: vmid, .. }) => create::vanish(self, vmid, now),
            Some(_) => {}
            None => return,
        }
        if let Some(task) = self.tasks.get_mut(upid) {
            task.end(Err("received interrupt".to_owned()), now);
        }
    }

    fn run(&mut self, work: Work, now: u64, log: &mut Vec<String>) -> Result<(), String> {
        match work {
            Work::Create { vmid, params, may_tag } => create::finish(self, vmid, &params, may_tag, now, log),
            Work::Configure { vmid, params } => {
                config::apply(self, vmid, &params, now, log).map_err(|error| error.text())
            }
            Work::Resize { vmid, disk, size } => config::resize(self, vmid, &disk, &size, log),
            Work::Start(vmid) => power::on(self, vmid, now),
            Work::Stop(vmid) => power::off(self, vmid, now),
            Work::Shutdown { vmid, force } => power::shutdown(self, vmid, force, now, log),
            Work::Reboot(vmid) => power::off(self, vmid, now).and_then(|()| power::on(self, vmid, now)),
            Work::Reset(vmid) => power::reset(self, vmid, now),
            Work::Destroy(vmid) => create::destroy(self, vmid, log),
            Work::Template(vmid) => clone::make_template(self, vmid),
            Work::Clone { vmid, newid, storage } => {
                let made = clone::finish(self, vmid, newid, storage.as_deref(), now, log);
                if made.is_err() {
                    create::vanish(self, newid, now);
                }
                made.map_err(|text| format!("clone failed: {text}"))
            }
            Work::Migrate { vmid, target, .. } => clone::moved(self, vmid, &target, log),
            Work::Manage { vmid, wanted } => {
                ha::set(self, vmid, wanted, now);
                Ok(())
            }
            Work::Download(download) => content::downloaded(self, download, now, log),
            Work::Upload(download) => content::uploaded(self, download, now),
            Work::Free { node, volume } => content::freed(self, &node, &volume),
        }
    }
}
