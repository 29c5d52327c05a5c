//! The runtime spec of the Open Container Initiative, as far as containers share it.

use crate::schema::Type::{self, Bool, List, Map, Struct, Text};
use crate::schema::{Schema, opt};

pub(super) static SPEC: Schema = Schema::new(
    "Spec",
    &[
        opt("ociVersion", Text),
        opt("process", Struct(&PROCESS)),
        opt("root", Struct(&ROOT)),
        opt("hostname", Text),
        opt("domainname", Text),
        opt("mounts", List(&Struct(&MOUNT))),
        opt("annotations", Map(&Text)),
        opt("linux", Struct(&LINUX)),
    ],
);

static PROCESS: Schema = Schema::new(
    "Process",
    &[
        opt("terminal", Bool),
        opt("user", Struct(&USER)),
        opt("args", List(&Text)),
        opt("env", List(&Text)),
        opt("cwd", Text),
        opt("capabilities", Struct(&CAPABILITIES)),
        opt("rlimits", List(&Struct(&RLIMIT))),
        opt("noNewPrivileges", Bool),
        opt("apparmorProfile", Text),
        opt("oomScoreAdj", Type::INT),
        opt("selinuxLabel", Text),
    ],
);

static RLIMIT: Schema =
    Schema::new("POSIXRlimit", &[opt("type", Text), opt("hard", Type::U64), opt("soft", Type::U64)]);

static USER: Schema = Schema::new(
    "User",
    &[
        opt("uid", Type::U32),
        opt("gid", Type::U32),
        opt("umask", Type::U32),
        opt("additionalGids", List(&Type::U32)),
        opt("username", Text),
    ],
);

static CAPABILITIES: Schema = Schema::new(
    "LinuxCapabilities",
    &[
        opt("bounding", List(&Text)),
        opt("effective", List(&Text)),
        opt("inheritable", List(&Text)),
        opt("permitted", List(&Text)),
        opt("ambient", List(&Text)),
    ],
);

static ROOT: Schema = Schema::new("Root", &[opt("path", Text), opt("readonly", Bool)]);

static ID_MAPPING: Schema =
    Schema::new("LinuxIDMapping", &[opt("containerID", Type::U32), opt("hostID", Type::U32), opt("size", Type::U32)]);

static MOUNT: Schema = Schema::new(
    "Mount",
    &[
        opt("destination", Text),
        opt("type", Text),
        opt("source", Text),
        opt("options", List(&Text)),
        opt("uidMappings", List(&Struct(&ID_MAPPING))),
        opt("gidMappings", List(&Struct(&ID_MAPPING))),
    ],
);

/// What a container may use; not checked.
static RESOURCES: Schema = Schema::new("LinuxResources", &[]);

/// Which system calls it may make; not checked.
static SECCOMP: Schema = Schema::new("LinuxSeccomp", &[]);

static LINUX: Schema = Schema::new(
    "Linux",
    &[
        opt("uidMappings", List(&Struct(&ID_MAPPING))),
        opt("gidMappings", List(&Struct(&ID_MAPPING))),
        opt("sysctl", Map(&Text)),
        opt("resources", Struct(&RESOURCES)),
        opt("cgroupsPath", Text),
        opt("seccomp", Struct(&SECCOMP)),
        opt("rootfsPropagation", Text),
        opt("maskedPaths", List(&Text)),
        opt("readonlyPaths", List(&Text)),
        opt("mountLabel", Text),
    ],
);
