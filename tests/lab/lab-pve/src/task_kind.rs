//! What tasks do when their time has come.

use super::change::{self, Change};
use super::destroy::{self, Removal};
use super::state::{Config, State};
use super::{backup, clone, config, content, create, ha, migrate, move_disk, power, snapshots, start};
use lab_core::disk_image::Found;

/// The work behind a task.
#[derive(Debug, Clone)]
pub(crate) enum TaskKind {
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
        /// What is to become of them.
        change: Change,
    },
    /// Grows a disk.
    Resize {
        /// The VM.
        vmid: u32,
        /// The drive.
        disk: String,
        /// The new size.
        size: String,
        /// Why the worker refuses it.
        refusal: Option<String>,
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
    /// Stops a VM where it is, in memory or on a storage.
    Suspend {
        /// The VM.
        vmid: u32,
        /// The storage that keeps its memory, if it goes there.
        to: Option<String>,
    },
    /// Lets a stopped VM go on.
    Resume(u32),
    /// Starts a VM whose memory is on a storage.
    Wake(u32),
    /// Takes a snapshot.
    Snapshot(snapshots::Wanted),
    /// Goes back to a snapshot.
    Rollback {
        /// The VM.
        vmid: u32,
        /// The snapshot.
        name: String,
        /// Whether to start the VM afterwards.
        start: bool,
    },
    /// Drops a snapshot.
    Forget {
        /// The VM.
        vmid: u32,
        /// The snapshot.
        name: String,
    },
    /// Moves a disk to another storage.
    Move {
        /// The VM.
        vmid: u32,
        /// The drive.
        disk: String,
        /// The storage that it goes to.
        storage: String,
        /// The format that it gets, if one was asked for.
        format: Option<String>,
        /// Whether the source goes away.
        delete: bool,
    },
    /// Gives a disk to another VM.
    Reassign(move_disk::Reassignment),
    /// Backs VMs up.
    Backup(backup::Backup),
    /// Removes a VM with its disks.
    Destroy(Removal),
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
        /// What is said of the copy.
        description: Option<String>,
        /// Whether its disks are its own.
        full: bool,
    },
    /// Moves a VM.
    Migrate {
        /// The VM.
        vmid: u32,
        /// The host that it goes to.
        target: String,
        /// Whether the HA manager does it.
        managed: bool,
        /// Whether a running VM takes disks along that the hosts do not share.
        disks: bool,
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
    /// Where it comes from; nowhere if it was sent here.
    pub(crate) url: String,
    /// Algorithm and digest to compare with.
    pub(crate) checksum: Option<(String, String)>,
    /// How it ends without asking the network, because the file is there already.
    pub(crate) verdict: Option<Result<(), String>>,
    /// What arrived.
    pub(crate) found: Option<Result<Found, String>>,
}

impl TaskKind {
    /// The type of its task.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Create { .. } => "qmcreate",
            Self::Configure { .. } => "qmconfig",
            Self::Resize { .. } => "resize",
            Self::Start(_) => "qmstart",
            Self::Stop(_) => "qmstop",
            Self::Shutdown { .. } => "qmshutdown",
            Self::Reboot(_) => "qmreboot",
            Self::Reset(_) => "qmreset",
            Self::Suspend { to: Some(_), .. } => "qmsuspend",
            Self::Suspend { .. } => "qmpause",
            Self::Resume(_) | Self::Wake(_) => "qmresume",
            Self::Snapshot(_) => "qmsnapshot",
            Self::Rollback { .. } => "qmrollback",
            Self::Forget { .. } => "qmdelsnapshot",
            Self::Move { .. } | Self::Reassign(_) => "qmmove",
            Self::Backup(_) => "vzdump",
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

    /// What its task is about.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::Download(download) => download.file.clone(),
            Self::Upload(_) => String::new(),
            Self::Free { volume, .. } => volume.replace([':', '/'], "-"),
            Self::Clone { vmid, .. } => vmid.to_string(),
            Self::Reassign(wanted) => wanted.id(),
            work => work.vm().map(|vmid| vmid.to_string()).unwrap_or_default(),
        }
    }

    /// The VM that it changes.
    pub(crate) fn vm(&self) -> Option<u32> {
        match self {
            Self::Create { vmid, .. } | Self::Configure { vmid, .. } | Self::Resize { vmid, .. } => Some(*vmid),
            Self::Start(vmid) | Self::Stop(vmid) | Self::Shutdown { vmid, .. } | Self::Reboot(vmid) => Some(*vmid),
            Self::Reset(vmid) | Self::Suspend { vmid, .. } | Self::Resume(vmid) | Self::Wake(vmid) => Some(*vmid),
            Self::Snapshot(snapshots::Wanted { vmid, .. }) | Self::Rollback { vmid, .. } => Some(*vmid),
            Self::Forget { vmid, .. } | Self::Move { vmid, .. } => Some(*vmid),
            Self::Destroy(Removal { vmid, .. }) | Self::Template(vmid) | Self::Migrate { vmid, .. } => Some(*vmid),
            Self::Manage { vmid, .. } | Self::Clone { newid: vmid, .. } => Some(*vmid),
            Self::Reassign(wanted) => Some(wanted.vmid),
            Self::Backup(wanted) => wanted.only(),
            Self::Download(_) | Self::Upload(_) | Self::Free { .. } => None,
        }
    }

    /// Whether it marks the VM with a `lock` and lets go of its file meanwhile.
    pub(crate) fn marks(&self) -> bool {
        matches!(
            self,
            Self::Snapshot(_)
                | Self::Rollback { .. }
                | Self::Forget { .. }
                | Self::Backup(_)
                | Self::Suspend { to: Some(_), .. }
        )
    }

    /// Whether it takes the file of its VM's configuration at all.
    pub(crate) fn takes_vm(&self) -> bool {
        !matches!(self, Self::Manage { .. } | Self::Migrate { managed: true, .. })
    }

    /// Whether it works on the configuration of a VM of the host where it runs.
    pub(crate) fn needs_vm(&self) -> bool {
        let makes = matches!(self, Self::Create { .. } | Self::Clone { .. });
        !makes && self.takes_vm() && !matches!(self, Self::Migrate { .. } | Self::Backup(_))
    }

    /// Whether it writes the configuration of its VM.
    pub(crate) fn writes(&self) -> bool {
        use TaskKind::{Create, Reboot, Reset, Resume, Shutdown, Start, Stop, Wake};
        let power = matches!(self, Start(_) | Stop(_) | Shutdown { .. } | Reboot(_) | Reset(_) | Resume(_) | Wake(_));
        let pauses = matches!(self, Self::Suspend { to: None, .. });
        !power && !pauses && !matches!(self, Create { .. } | Self::Backup(_)) && self.takes_vm()
    }

    /// Whether a `lock` in the configuration of its VM forbids it.
    pub(crate) fn minds(&self, lock: &str, running: bool) -> bool {
        match self {
            Self::Create { .. } | Self::Clone { .. } | Self::Manage { .. } | Self::Backup(_) => false,
            Self::Start(_) | Self::Wake(_) => lock != "suspended" && !(lock == "backup" && running),
            Self::Stop(_) | Self::Shutdown { .. } | Self::Reboot(_) => running,
            Self::Suspend { .. } => lock != "backup",
            Self::Resume(_) => lock != "backup" && lock != "suspended",
            Self::Destroy(_) => lock != "suspended",
            _ => true,
        }
    }
}

impl State {
    /// Does the work of a task.
    pub(super) fn run(&mut self, work: TaskKind, now: u64, log: &mut Vec<String>) -> Result<(), String> {
        match work {
            TaskKind::Create { vmid, params, may_tag } => create::finish(self, vmid, &params, may_tag, now, log),
            TaskKind::Configure { vmid, change } => {
                change::apply(self, vmid, &change, now, log).map_err(|error| error.text())
            }
            TaskKind::Resize { refusal: Some(text), .. } => Err(super::reply::Refusal::forbidden(text).text()),
            TaskKind::Resize { vmid, disk, size, .. } => config::resize(self, vmid, &disk, &size, log),
            TaskKind::Start(vmid) | TaskKind::Wake(vmid) => start::run(self, vmid, now, log),
            TaskKind::Stop(vmid) => power::off(self, vmid, now),
            TaskKind::Shutdown { vmid, force } => power::shutdown(self, vmid, force, now, log),
            TaskKind::Reboot(vmid) => power::off(self, vmid, now).and_then(|()| start::run(self, vmid, now, log)),
            TaskKind::Reset(vmid) => power::reset(self, vmid, now),
            TaskKind::Suspend { vmid, to } => power::suspend(self, vmid, to.as_deref(), now, log),
            TaskKind::Resume(vmid) => power::resume(self, vmid),
            TaskKind::Snapshot(wanted) => {
                snapshots::taken(self, &wanted);
                Ok(())
            }
            TaskKind::Rollback { vmid, name, start } => snapshots::rolled_back(self, vmid, &name, start, now),
            TaskKind::Forget { vmid, name } => {
                snapshots::forgotten(self, vmid, &name);
                Ok(())
            }
            TaskKind::Move { vmid, disk, storage, format, delete } => {
                move_disk::moved(self, vmid, (&disk, &storage, format.as_deref()), delete, now, log)
            }
            TaskKind::Reassign(wanted) => move_disk::reassigned(self, &wanted, log),
            TaskKind::Backup(wanted) => backup::made(self, &wanted, now, log),
            TaskKind::Destroy(removal) => destroy::done(self, &removal, log),
            TaskKind::Template(vmid) => clone::make_template(self, vmid),
            TaskKind::Clone { vmid, newid, storage, description, full } => {
                let (storage, description) = (storage.as_deref(), description.as_deref());
                let since = self.volumes.mark();
                let made = clone::finish(self, clone::Copy { vmid, newid, storage, description, full }, now, log);
                if made.is_err() {
                    create::unmake(self, newid, since);
                }
                made.map_err(|text| format!("clone failed: {text}"))
            }
            TaskKind::Migrate { vmid, target, disks, .. } => migrate::finish(self, vmid, &target, disks, log),
            TaskKind::Manage { vmid, wanted } => {
                let order = if wanted == "started" { "start" } else { "stop" };
                log.push(format!("Requesting HA {order} for VM {vmid}"));
                ha::set(self, vmid, wanted);
                Ok(())
            }
            TaskKind::Download(download) => content::downloaded(self, download, now, log),
            TaskKind::Upload(download) => content::uploaded(self, download, now, log),
            TaskKind::Free { node, volume } => content::freed(self, &node, &volume),
        }
    }
}
