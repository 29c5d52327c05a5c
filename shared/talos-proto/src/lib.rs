//! The messages and services of Talos Linux, generated from the files in `proto/`.
//!
//! This crate holds generated code and nothing else: a module per protobuf package, clients always, servers with the
//! feature `server`. The code in `src/gen` is committed, so that building needs neither `protoc` nor a build script;
//! the test `generated_code_is_fresh` fails when it differs from what `proto/` generates, and rewrites it when it runs
//! with `ICHOR_REGENERATE=1`.

/// What the Talos services share.
pub mod common {
    include!("gen/common.rs");
}

/// The machine API: `MachineService`, `LifecycleService`, `ImageService`.
pub mod machine {
    include!("gen/machine.rs");
}

/// The disks of a node.
pub mod storage {
    include!("gen/storage.rs");
}

/// The dependencies inside a node.
pub mod inspect {
    include!("gen/inspect.rs");
}

/// The clock of a node.
pub mod time {
    include!("gen/time.rs");
}

/// The health check that a control plane node runs on its cluster.
pub mod cluster {
    include!("gen/cluster.rs");
}

/// trustd, which signs the certificates of workers.
pub mod securityapi {
    include!("gen/securityapi.rs");
}

/// The specs of the resources that Ichor reads.
pub mod definitions {
    include!("gen/definitions.rs");
}

/// The COSI state: what a node knows and does, as resources.
pub mod cosi {
    /// Resources and the service that hands them out.
    pub mod resource {
        include!("gen/cosi.resource.rs");

        /// Resources about resources.
        pub mod meta {
            include!("gen/cosi.resource.meta.rs");
        }
    }
}

/// Messages of Google's that Talos uses.
pub mod google {
    /// The error model of gRPC.
    pub mod rpc {
        include!("gen/google.rpc.rs");
    }
}
