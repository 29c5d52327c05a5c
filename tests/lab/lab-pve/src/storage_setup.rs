//! A storage as the administrator set it up.

/// How a storage keeps its volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKind {
    /// Files in a folder.
    Dir,
    /// Thin logical volumes.
    LvmThin,
}

impl StorageKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Dir => "dir",
            Self::LvmThin => "lvmthin",
        }
    }

    /// Block storages give out whole extents.
    pub(super) fn rounded(self, bytes: u64) -> u64 {
        const EXTENT: u64 = 4 << 20;
        match self {
            Self::Dir => bytes,
            Self::LvmThin => bytes.next_multiple_of(EXTENT),
        }
    }
}

/// A storage as the administrator set it up; every host has it.
#[derive(Debug, Clone)]
pub struct Storage {
    /// Its name.
    pub name: String,
    /// How it keeps volumes.
    pub kind: StorageKind,
    /// The content types that are switched on.
    pub content: Vec<String>,
    /// Whether all hosts see the same volumes.
    pub shared: bool,
    /// Bytes in total.
    pub size: u64,
}

impl Storage {
    /// `local`, a folder that takes ISOs, templates and images to import.
    pub fn local() -> Self {
        Self::new("local", StorageKind::Dir, &["iso", "import", "vztmpl"])
    }

    /// `local-lvm`, for the disks of VMs.
    pub fn local_lvm() -> Self {
        Self::new("local-lvm", StorageKind::LvmThin, &["images", "rootdir"])
    }

    /// A storage of each host's own.
    pub fn new(name: &str, kind: StorageKind, content: &[&str]) -> Self {
        let content = content.iter().map(|kind| (*kind).to_owned()).collect();
        Self { name: name.to_owned(), kind, content, shared: false, size: 64 << 40 }
    }

    /// Whether a content type is switched on.
    pub(crate) fn takes(&self, content: &str) -> bool {
        self.content.iter().any(|kind| kind == content)
    }

    /// The file behind a volume of a folder storage.
    pub(crate) fn path(name: &str) -> String {
        format!("/var/lib/vz/{name}")
    }

    /// Where a volume lies on its host.
    pub(crate) fn place(&self, id: &str) -> String {
        let name = super::storage::split(id).map_or(id, |(_, name)| name);
        match (self.kind, name.split_once('/')) {
            (StorageKind::LvmThin, _) => format!("/dev/pve/{name}"),
            (StorageKind::Dir, Some(("iso", file))) => Self::path(&format!("template/iso/{file}")),
            (StorageKind::Dir, Some(("vztmpl", file))) => Self::path(&format!("template/cache/{file}")),
            (StorageKind::Dir, Some(("backup", file))) => Self::path(&format!("dump/{file}")),
            (StorageKind::Dir, Some(("import" | "snippets", _))) => Self::path(name),
            (StorageKind::Dir, _) => Self::path(&format!("images/{name}")),
        }
    }

    pub(super) fn disk_name(&self, vmid: u32, stem: &str, format: &str) -> String {
        match self.kind {
            StorageKind::Dir => format!("{vmid}/vm-{vmid}-{stem}.{format}"),
            StorageKind::LvmThin => format!("vm-{vmid}-{stem}"),
        }
    }
}
