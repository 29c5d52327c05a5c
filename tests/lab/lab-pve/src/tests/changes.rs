//! What the real code does with changes of options: of a VM that is off, and of one that runs.

use super::*;

const CONFIG: &str = "/nodes/pve1/qemu/100/config";
const NO_BRIDGE: &str = "virtio=BC:24:11:00:00:01,bridge=vmbr9";

/// A VM that is off, and one whose token may do everything with it.
pub(super) async fn world() -> World {
    let world = World::start(Settings::default()).with_image().await;
    world.post("/nodes/pve1/qemu", &VM).await;
    world
}

async fn running() -> World {
    let world = world().await;
    world.post("/nodes/pve1/qemu/100/status/start", &[]).await;
    assert_eq!(world.exit(), "OK");
    world
}

impl World {
    async fn config(&self, form: &[(&str, &str)]) -> String {
        let (status, body) = self.post(CONFIG, form).await;
        match status {
            StatusCode::OK => self.exit(),
            _ => body["message"].as_str().unwrap_or_default().trim_end().to_owned(),
        }
    }

    async fn option(&self, name: &str) -> Value {
        self.get(CONFIG).await.1["data"][name].clone()
    }

    async fn running_option(&self, name: &str) -> Value {
        self.get(&format!("{CONFIG}?current=1")).await.1["data"][name].clone()
    }
}

#[tokio::test]
async fn a_disk_that_is_allocated_over_another_leaves_that_one_unused() {
    for world in [world().await, running().await] {
        assert_eq!(world.config(&[("scsi1", "local-lvm:1")]).await, "OK");
        assert_eq!(world.option("scsi1").await, "local-lvm:vm-100-disk-1,size=1G");
        assert_eq!(world.config(&[("scsi1", "local-lvm:1")]).await, "OK");
        assert_eq!(world.option("scsi1").await, "local-lvm:vm-100-disk-2,size=1G");
        assert_eq!(world.option("unused0").await, "local-lvm:vm-100-disk-1");
        assert_eq!(world.pve.volumes("pve1", "local-lvm").len(), 4, "nothing vanishes");
        assert_eq!(world.guests.removed.lock().unwrap().len(), 0);
        // Deleting it keeps it as well, and attaching it again takes it back.
        world.send(Method::PUT, CONFIG, &[("delete", "scsi1")]).await;
        assert_eq!(world.option("unused1").await, "local-lvm:vm-100-disk-2");
        assert_eq!(world.config(&[("scsi2", "local-lvm:vm-100-disk-1")]).await, "OK");
        assert_eq!(
            (world.option("scsi2").await, world.option("unused0").await),
            ("local-lvm:vm-100-disk-1,size=1G".into(), Value::Null)
        );
    }
}

#[tokio::test]
async fn the_disk_that_a_running_vm_boots_from_cannot_be_replaced() {
    let world = running().await;
    let exit = world.config(&[("scsi0", "local-lvm:1")]).await;
    let text = "400 Parameter verification failed. scsi0: hotplug problem - can't unplug bootdisk 'scsi0' ";
    assert_eq!(exit, text);
    assert!(world.running_option("scsi0").await.as_str().unwrap().starts_with("local-lvm:vm-100-disk-0"));
    assert!(world.option("scsi0").await.as_str().unwrap().starts_with("local-lvm:vm-100-disk-1"));
}

#[tokio::test]
async fn a_drive_that_cannot_be_plugged_in_waits_for_the_next_start() {
    let world = running().await;
    assert_eq!(world.config(&[("delete", "ide0")]).await, "OK");
    assert_eq!(world.config(&[("sata0", "local-lvm:1")]).await, "OK");
    assert!(world.running_option("ide0").await.is_string() && world.option("ide0").await.is_null());
    assert!(world.running_option("sata0").await.is_null() && world.option("sata0").await.is_string());
    world.post("/nodes/pve1/qemu/100/status/stop", &[]).await;
    world.post("/nodes/pve1/qemu/100/status/start", &[]).await;
    assert!(world.running_option("ide0").await.is_null() && world.running_option("sata0").await.is_string());
    assert_eq!(world.pve.volumes("pve1", "local-lvm"), ["local-lvm:vm-100-disk-0", "local-lvm:vm-100-disk-1"]);
}

#[tokio::test]
async fn a_card_on_a_bridge_that_is_missing_fails_and_stays_wanted() {
    let world = running().await;
    let exit = world.config(&[("net0", NO_BRIDGE)]).await;
    let text = "400 Parameter verification failed. net0: hotplug problem - interface vmbr9 does not exist ";
    assert_eq!(exit, text);
    let log = world.pve.tasks().pop().unwrap().log;
    assert_eq!(log, [format!("update VM 100: -net0 {NO_BRIDGE}"), format!("TASK ERROR: {text}")]);
    let known = world.running_option("net0").await;
    assert_eq!((known, world.option("net0").await), ("virtio=bc:24:11:00:00:01,bridge=vmbr0".into(), NO_BRIDGE.into()));
    let rows = world.get("/nodes/pve1/qemu/100/pending").await.1["data"].clone();
    let row = rows.as_array().unwrap().iter().find(|row| row["key"] == "net0").unwrap();
    assert_eq!(row["pending"], NO_BRIDGE);
    let (status, body) = world.send(Method::PUT, CONFIG, &[("net0", NO_BRIDGE)]).await;
    assert_eq!((status, &body["message"]), (StatusCode::BAD_REQUEST, &"Parameter verification failed.\n".into()));
    assert_eq!(body["errors"]["net0"], "hotplug problem - interface vmbr9 does not exist\n");
    // A good value takes the place of the one that waited.
    assert_eq!(world.config(&[("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1")]).await, "OK");
    assert_eq!(world.option("net0").await, world.running_option("net0").await);
}

#[tokio::test]
async fn what_is_live_on_a_running_vm_and_what_waits() {
    let live = [
        ("name", "pr2"),
        ("onboot", "0"),
        ("startup", "order=3"),
        ("protection", "0"),
        ("description", "x"),
        ("tags", "a"),
        ("ipconfig0", "ip=dhcp"),
        ("nameserver", "1.1.1.1"),
        ("searchdomain", "x"),
        ("citype", "nocloud"),
        ("hotplug", "network,disk"),
        ("cpulimit", "1"),
        ("cpuunits", "200"),
        ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1"),
    ];
    let waiting = [
        ("boot", "order=net0"),
        ("ostype", "other"),
        ("vga", "serial0"),
        ("cpu", "x86-64-v3"),
        ("machine", "pc"),
        ("bios", "ovmf"),
        ("smbios1", "uuid=11111111-2222-4333-8444-666666666666"),
        ("numa", "1"),
        ("balloon", "0"),
        ("sockets", "2"),
        ("scsihw", "virtio-scsi-single"),
        ("tablet", "0"),
        ("serial1", "socket"),
        ("rng0", "source=/dev/urandom"),
        ("acpi", "0"),
        ("kvm", "0"),
        ("localtime", "1"),
        ("watchdog", "i6300esb"),
        ("cores", "2"),
        ("memory", "8192"),
        ("agent", "0"),
    ];
    let world = running().await;
    world.pve.grant_everything();
    for (name, value) in live {
        assert_eq!(world.config(&[(name, value)]).await, "OK", "{name}");
        let seen = world.running_option(name).await;
        assert_eq!(seen.to_string().trim_matches('"'), value, "{name} is live");
    }
    for (name, value) in waiting {
        let before = world.running_option(name).await;
        assert_eq!(world.config(&[(name, value)]).await, "OK", "{name}");
        assert_eq!(world.running_option(name).await, before, "{name} waits");
        assert_eq!(world.option(name).await.to_string().trim_matches('"'), value, "{name}");
    }
    assert_eq!(world.option("cpulimit").await, "1", "a number that may have a fraction is text");
}

#[tokio::test]
async fn a_change_of_a_vm_that_is_off_overtakes_what_had_waited() {
    let world = running().await;
    world.config(&[("memory", "8192")]).await;
    world.post("/nodes/pve1/qemu/100/status/stop", &[]).await;
    assert_eq!(world.option("memory").await, "8192");
    world.config(&[("memory", "2048")]).await;
    assert_eq!(world.option("memory").await, "2048");
    world.post("/nodes/pve1/qemu/100/status/start", &[]).await;
    assert_eq!(world.guests.on.lock().unwrap()[UUID].memory, 2048);
}

#[tokio::test]
async fn a_cd_drive_joins_the_boot_order_and_empty_tags_are_a_space() {
    let world = world().await;
    assert_eq!(world.config(&[("boot", "order=scsi0")]).await, "OK");
    assert_eq!(world.config(&[("cdrom", "none")]).await, "OK");
    assert_eq!(world.pve.tasks().pop().unwrap().log[0], "update VM 100: -cdrom none");
    assert_eq!(world.option("ide2").await, "none,media=cdrom");
    assert_eq!(world.option("boot").await, "order=scsi0;ide2");
    assert_eq!(world.config(&[("tags", "")]).await, "OK");
    assert_eq!(world.option("tags").await, " ");
}

#[tokio::test]
async fn cards_are_written_in_one_order_and_addresses_keep_their_case() {
    let world = world().await;
    for (given, kept) in [
        ("virtio=bc:24:11:aa:bb:02,bridge=vmbr0", "virtio=bc:24:11:aa:bb:02,bridge=vmbr0"),
        (
            "model=virtio,macaddr=bc:24:11:aa:bb:03,bridge=vmbr0,tag=5,firewall=1",
            "virtio=bc:24:11:aa:bb:03,bridge=vmbr0,firewall=1,tag=5",
        ),
        ("bridge=vmbr0,virtio=BC:24:11:AA:BB:04", "virtio=BC:24:11:AA:BB:04,bridge=vmbr0"),
    ] {
        assert_eq!(world.config(&[("net0", given)]).await, "OK");
        assert_eq!(world.option("net0").await, kept);
    }
}

#[tokio::test]
async fn a_change_prints_one_line_and_a_description_its_own() {
    let world = world().await;
    world.config(&[("numa", "1"), ("numa0", "cpus=0,memory=1")]).await;
    assert_eq!(world.pve.tasks().pop().unwrap().log[0], "update VM 100: -numa 1 -numa0 cpus=0,memory=1");
    world.config(&[("description", "a\nb")]).await;
    assert_eq!(world.pve.tasks().pop().unwrap().log, ["update VM 100: -description a", "b", "TASK OK"]);
    world.config(&[("delete", "numa0")]).await;
    assert_eq!(world.pve.tasks().pop().unwrap().log[0], "update VM 100: -delete numa0");
}

/// An option, its value, and how the change ends.
type Refused = (&'static str, &'static str, &'static str);

#[tokio::test]
async fn what_a_token_may_not_set_is_refused_at_once_or_by_the_worker() {
    let at_once: &[Refused] = &[
        ("affinity", "0", "only root can set 'affinity' config"),
        ("hugepages", "2", "only root can set 'hugepages' config"),
        ("spice_enhancements", "foldersharing=1", "only root can set 'spice_enhancements' config"),
        ("args", "-x", "only root can set 'args' config"),
        ("balloon", "9000", "balloon value too large (must be smaller than assigned memory)"),
        ("sshkeys", "ssh-ed25519%20AAAAC3NzaC1lZDI1NTE5AAAAIJ0%20x", "SSH public key validation error"),
    ];
    let by_the_worker: &[Refused] = &[
        ("hostpci0", "0000:01:00.0", "only root can set 'hostpci0' config for non-mapped devices"),
        ("usb0", "host=1234:5678", "only root can set 'usb0' config for real devices"),
        ("serial1", "/dev/ttyS0", "only root can modify 'serial1' config for real devices"),
        ("rng0", "source=/dev/hwrng", "403 Permission check failed (/mapping/hwrng, Mapping.Use)"),
        ("virtiofs0", "abc", "403 Permission check failed (/mapping/dir/abc, Mapping.Use)"),
    ];
    let world = world().await;
    for (name, value, text) in at_once {
        let (status, body) = world.post(CONFIG, &[(name, value)]).await;
        assert_eq!((status.as_u16(), &body["message"]), (500, &format!("{text}\n").into()), "{name}");
    }
    for (name, value, text) in by_the_worker {
        let (status, body) = world.post(CONFIG, &[(name, value)]).await;
        assert_eq!((status.as_u16(), world.exit().as_str()), (200, *text), "{name}: {body}");
        assert_eq!(world.option(name).await, Value::Null, "{name}");
    }
    let (status, body) = world.post(CONFIG, &[("hookscript", "local:snippets/x")]).await;
    assert_eq!(
        (status.as_u16(), &body["errors"]["hookscript"]),
        (400, &"script 'local:snippets/x' does not exist\n".into())
    );
}
