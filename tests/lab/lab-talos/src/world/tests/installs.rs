//! Machines that install Talos themselves.

use super::*;

#[test]
fn a_machine_that_runs_from_an_iso_installs_itself_and_reboots() {
    let mut world = world();
    let mut vm = machine("cp-1", "127.80.3.11", "v1.13.9");
    vm.iso = vm.image.take();
    world.power_on(vm);
    pass(&mut world, 1);
    let text = Secrets::new().control_plane("cp-1", ENDPOINT);
    let text = text.replace(
        "    features:",
        "    install: {disk: /dev/sda, image: 'factory.talos.dev/nocloud-installer/abc:v1.13.9'}\n    features:",
    );
    apply(&mut world, 0, &text);

    pass(&mut world, 1);
    assert_eq!((world.nodes[0].stage, world.nodes[0].api), (Stage::Installing, Api::Secured));
    pass(&mut world, 1);
    assert_eq!(world.nodes[0].api, Api::Closed);
    pass(&mut world, 1);

    assert_eq!((world.nodes[0].stage, world.nodes[0].api), (Stage::Booting, Api::Secured));
    assert_eq!(world.nodes[0].image.as_ref().unwrap().schematic, "abc");
}

#[test]
fn an_unattended_install_keeps_the_stage_and_reboots_when_it_is_done() {
    let mut world = world();
    let disk = machine("cp-1", "127.80.3.11", "v1.14.0");
    world.power_on(lab_core::machine::Machine { iso: disk.image.clone(), image: None, ..disk });
    pass(&mut world, 1);
    let unattended = "---\napiVersion: v1alpha1\nkind: UnattendedInstallConfig\ninstaller:\n  image: factory.talos.dev/metal-installer/376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba:v1.14.0\nprovisioning:\n  diskSelector:\n    match: disk.dev_path == \"/dev/sda\"\n";
    apply(&mut world, 0, &(Secrets::new().control_plane("cp-1", ENDPOINT) + unattended));
    let boot = world.nodes[0].boot_id.clone();
    pass(&mut world, 1);
    assert_eq!((world.nodes[0].stage, world.nodes[0].installing), (Stage::Booting, true));
    assert_eq!(world.bootstrap(0).unwrap_err().message(), "bootstrap is not available yet");
    pass(&mut world, 4);
    assert_ne!(world.nodes[0].boot_id, boot, "it has booted from its own disk");
    assert!(world.is_installed(0) && !world.nodes[0].installing);
    world.bootstrap(0).unwrap();
}
