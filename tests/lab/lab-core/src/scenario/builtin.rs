//! Scenarios that come with the lab.

/// A scenario that comes with the lab.
#[derive(Debug, Clone, Copy)]
pub struct Builtin {
    /// Its name, for `--scenario`.
    pub name: &'static str,
    /// What it is good for.
    pub about: &'static str,
    /// The file.
    pub text: &'static str,
}

/// All of them.
pub const BUILTIN: &[Builtin] = &[
    Builtin {
        name: "lost-replies",
        about: "one write in five is done, but its reply never arrives: does your pipeline ask again before it acts again?",
        text: "apiVersion: ichor-lab/v1
kind: Scenario
name: lost-replies
seed: 1
faults:
  - {on: pve, call: POST *, do: lose-reply, chance: 0.2}
  - {on: talos, call: ApplyConfiguration, do: lose-reply, chance: 0.2}
  - {on: talos, call: Bootstrap, do: lose-reply, times: 1}
",
    },
    Builtin {
        name: "busy-proxmox",
        about: "Proxmox VE runs out of workers, and times out on locks: errors that go away by trying again",
        text: "apiVersion: ichor-lab/v1
kind: Scenario
name: busy-proxmox
seed: 2
faults:
  - {on: pve, call: POST /nodes/*/qemu, do: fail, message: got no worker upid - start worker failed, times: 2}
  - {on: pve, call: PUT /nodes/*/config, do: fail, message: can't lock file '/var/lock/qemu-server/lock.conf' - got timeout, chance: 0.3}
  - {on: pve, call: GET *, do: slow, by: 500ms, chance: 0.1}
",
    },
    Builtin {
        name: "flaky-nodes",
        about: "one call in ten to a node fails as unavailable, and some answers take a second",
        text: "apiVersion: ichor-lab/v1
kind: Scenario
name: flaky-nodes
seed: 3
faults:
  - {on: talos, do: fail, status: 14, message: 'connection error: desc = \"transport: Error while dialing\"', chance: 0.1}
  - {on: talos, do: slow, by: 1s, chance: 0.1}
",
    },
    Builtin {
        name: "proxy-in-the-way",
        about: "now and then somebody else answers: a page of HTML where JSON should be",
        text: "apiVersion: ichor-lab/v1
kind: Scenario
name: proxy-in-the-way
seed: 4
faults:
  - {on: pve, call: GET *, do: garbage, chance: 0.1}
  - {on: factory, do: garbage, times: 1}
  - {on: kubernetes, call: GET *, do: garbage, chance: 0.05}
",
    },
    Builtin {
        name: "slow-day",
        about: "everything takes twice as long as usual, and the first image must be built",
        text: "apiVersion: ichor-lab/v1
kind: Scenario
name: slow-day
seed: 5
faults:
  - {on: factory, call: GET /image/*, do: slow, by: 5s, times: 1}
  - {on: pve, do: slow}
  - {on: talos, do: slow}
  - {on: kubernetes, do: slow}
",
    },
    Builtin {
        name: "silent-factory",
        about: "the Image Factory accepts the first two requests and doesn't respond: do you have a deadline?",
        text: "apiVersion: ichor-lab/v1
kind: Scenario
name: silent-factory
seed: 6
faults:
  - {on: factory, do: hang, times: 2}
",
    },
];
