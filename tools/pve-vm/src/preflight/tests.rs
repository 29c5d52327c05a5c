//! Each thing that can refuse is known before anything is done.

use pve_client::answer::{Ha, Permissions};

use super::*;

struct World {
    rights: Rights,
    host: Host,
    config: Config,
    power: Power,
    quorate: Option<bool>,
    storages: Option<Vec<Storage>>,
}

impl World {
    fn new() -> Self {
        let held = rights::NEEDED.map(|privilege| format!("\"{privilege}\":1")).join(",");
        let permissions: Permissions = serde_json::from_str(&format!("{{\"/\":{{{held}}}}}")).unwrap();
        let bridges = Some(vec!["vmbr0".to_owned()]);
        Self {
            rights: permissions.into(),
            host: Host { name: "pve1".into(), cpus: 8, bridges, ..Host::default() },
            config: Config::default(),
            power: Power { status: "running".into(), ..Power::default() },
            quorate: Some(true),
            storages: None,
        }
    }

    fn without(mut self, privilege: &str) -> Self {
        let held: Vec<String> =
            rights::NEEDED.iter().filter(|known| **known != privilege).map(|known| format!("\"{known}\":1")).collect();
        let permissions: Permissions = serde_json::from_str(&format!("{{\"/\":{{{}}}}}", held.join(","))).unwrap();
        self.rights = permissions.into();
        self
    }

    fn config(mut self, pairs: &[(&str, &str)]) -> Self {
        self.config = pairs.iter().copied().collect();
        self
    }

    fn refusals(&self, intent: &Intent) -> Vec<Refusal> {
        let vm = (!intent.creates).then_some(Found { vmid: 101, config: &self.config, power: Some(&self.power) });
        let situation = Situation {
            token: "talos@pve!cli",
            rights: &self.rights,
            quorate: self.quorate,
            host: &self.host,
            storages: self.storages.as_deref(),
            pool: None,
            vm,
        };
        refusals(intent, situation)
    }

    #[track_caller]
    fn refuses(&self, intent: &Intent, exit: Exit, message: &str) {
        let found = self.refusals(intent);
        let [one] = &found[..] else { panic!("one refusal, not {found:?}") };
        assert_eq!(one.exit, exit, "{}", one.message);
        assert!(one.message.contains(message), "{}", one.message);
    }
}

fn set(name: &str, value: &str) -> Intent {
    Intent { parameters: vec![(name.into(), value.into())], cores: 2, ..Intent::default() }
}

fn destruction() -> Intent {
    Intent { destroys: true, stops: true, ..Intent::default() }
}

fn start() -> Intent {
    Intent { starts: true, cores: 2, bridges: vec!["vmbr0".into()], ..Intent::default() }
}

fn power_cycle() -> Intent {
    Intent { stops: true, ..Intent { parameters: vec![("cores".into(), "4".into())], cores: 4, ..start() } }
}

#[test]
fn nothing_to_do_is_never_refused() {
    let world = World { quorate: Some(false), ..World::new() }.config(&[("lock", "backup"), ("protection", "1")]);
    assert_eq!(world.refusals(&Intent { cores: 99, ..Intent::default() }), []);
}

#[test]
fn what_is_allowed_and_possible_is_not_refused() {
    for intent in [destruction(), start(), power_cycle(), set("net0", "virtio,bridge=vmbr0")] {
        assert_eq!(World::new().refusals(&intent), [], "{intent:?}");
    }
}

#[test]
fn a_protected_vm_is_not_destroyed_and_may_be_changed() {
    let world = World::new().config(&[("protection", "1")]);
    world.refuses(&destruction(), Exit::Guard, "VM 101 on pve1 is protected");
    assert_eq!(world.refusals(&power_cycle()), []);
}

#[test]
fn each_kind_of_change_takes_its_own_privilege() {
    for (privilege, intent) in [
        ("VM.Config.CPU", set("cores", "4")),
        ("VM.Config.Memory", set("memory", "4096")),
        ("VM.Config.Network", set("net0", "virtio,bridge=vmbr0")),
        ("VM.Config.Network", set("ipconfig0", "ip=dhcp")),
        ("VM.Config.HWType", set("machine", "q35")),
        ("VM.Config.Options", set("description", "x")),
        ("VM.Config.Disk", set("scsi1", "local:1")),
        ("VM.Config.Disk", Intent { grows: true, ..Intent::default() }),
        ("VM.PowerMgmt", start()),
        ("VM.PowerMgmt", Intent { stops: true, ..Intent::default() }),
        ("VM.Allocate", destruction()),
        ("SDN.Use", set("net0", "virtio,bridge=vmbr0")),
    ] {
        let world = World::new().without(privilege);
        world.refuses(
            &intent,
            Exit::NotAllowed,
            &format!("the token talos@pve!cli lacks {privilege}").replace(
                "VM.Config.Network",
                if intent.parameters.iter().any(|(name, _)| name == "ipconfig0") {
                    "VM.Config.Cloudinit or VM.Config.Network"
                } else {
                    "VM.Config.Network"
                },
            ),
        );
        let hint = world.refusals(&intent).remove(0).hint.unwrap();
        assert!(hint.contains("--users talos@pve --tokens 'talos@pve!cli'"), "{hint}");
    }
    World::new().refuses(&set("startup", "order=1"), Exit::NotAllowed, "Sys.Modify on / (startup)");
}

#[test]
fn notes_that_proxmox_ve_would_not_take_are_refused_before_anything_is_remembered() {
    let notes = |length: usize| set("description", &"ö".repeat(length));
    assert_eq!(World::new().refusals(&notes(8192)), []);
    World::new().refuses(&notes(8193), Exit::Failed, "the notes of VM 101 would have 8193 characters");
    let creation = |length| Intent {
        creates: true,
        parameters: [notes(length).parameters, vec![("scsi0".into(), "a:1".into())]].concat(),
        ..Intent::default()
    };
    assert_eq!(World::new().refusals(&creation(8100)), []);
    World::new().refuses(&creation(8192), Exit::Failed, "the notes of the new VM would have 8272");
}

#[test]
fn a_host_with_too_few_cpus_or_without_the_bridge_is_known_before_the_vm_is_off() {
    let intent = Intent { cores: 12, ..power_cycle() };
    World::new().refuses(&intent, Exit::Failed, "it has 8 CPUs, and 12 cores are wanted");
    let intent = Intent { bridges: vec!["vmbr9".into()], ..power_cycle() };
    World::new().refuses(&intent, Exit::Failed, "it has no bridge vmbr9");
    World::new().refuses(&set("net0", "virtio,bridge=vmbr9"), Exit::Failed, "it has no bridge vmbr9");
}

#[test]
fn other_operations_are_waited_for_and_a_saved_memory_is_not() {
    for lock in ["backup", "migrate", "snapshot", "create"] {
        let world = World::new().config(&[("lock", lock)]);
        world.refuses(&power_cycle(), Exit::Unreachable, &format!("locked ({lock})"));
        assert!(world.refusals(&destruction()).iter().all(Refusal::is_lock));
    }
    let world = World::new().config(&[("lock", "suspended")]);
    world.refuses(&set("cores", "4"), Exit::Failed, "its memory is saved on disk");
    assert_eq!(world.refusals(&destruction()), []);
    assert_eq!(world.refusals(&start()), [], "a start continues it");
}

#[test]
fn high_availability_in_trouble_neither_starts_nor_stops_a_vm() {
    let managed = |state: &str| {
        let ha = Ha { managed: true, state: Some(state.into()) };
        World { power: Power { ha, status: "running".into(), ..Power::default() }, ..World::new() }
    };
    managed("error").refuses(&power_cycle(), Exit::Failed, "in state error");
    managed("fence").refuses(&destruction(), Exit::Unreachable, "in state fence");
    assert_eq!(managed("started").refusals(&power_cycle()), []);
    assert_eq!(managed("error").refusals(&set("description", "x")), []);
}

#[test]
fn without_quorum_nothing_is_begun() {
    let world = World { quorate: Some(false), ..World::new() };
    for intent in [destruction(), power_cycle(), set("description", "x")] {
        world.refuses(&intent, Exit::Unreachable, "no quorum");
    }
    assert_eq!(World { quorate: None, ..World::new() }.refusals(&power_cycle()), []);
}

#[test]
fn a_template_is_not_started() {
    World::new().config(&[("template", "1")]).refuses(&start(), Exit::Guard, "is a template");
}

#[test]
fn a_storage_that_is_missing_or_holds_no_disks_is_told_with_the_command_that_works() {
    let row = |name: &str, kind: &str, content: &str| Storage {
        storage: name.into(),
        kind: kind.into(),
        content: content.into(),
        active: true,
        ..Storage::default()
    };
    let world = World { storages: Some(vec![row("local", "dir", "iso,import")]), ..World::new() };
    let create = |storage: &str| Intent { creates: true, storages: vec![storage.into()], ..start() };
    world.refuses(&create("fast"), Exit::Failed, "on pve1, there is no storage fast (storages: local)");
    world.refuses(&create("local"), Exit::Failed, "storage local doesn't allow content `images`");
}

#[test]
fn of_many_refusals_the_gravest_decides_and_all_are_told() {
    let world = World { quorate: Some(false), ..World::new() }.config(&[("protection", "1")]);
    let failure = failure(world.refusals(&destruction())).unwrap();
    assert_eq!(failure.exit, Exit::Guard);
    assert!(failure.message.contains("protected") && failure.message.contains("no quorum"), "{}", failure.message);
}
