//! A cluster that runs already: what the tools would do, done by the lab itself.
//!
//! For those who test what comes after: scripts around talosctl and kubectl, monitoring, upgrades.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use cluster_pki::{Bundle, Context, Secret};
use machine_config::generate::{Input, Options, generate};
use machine_config::node::{Node, tailor};
use machine_config::{Contract, MachineType};
use time::OffsetDateTime;

use lab_core::machine::Image;
use lab_core::random;
use lab_pve::Pve;
use lab_talos::{Stage, Talos};

/// How long a cluster may take, at realistic delays and with hundreds of nodes.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long one look at all nodes counts.
const LOOK: Duration = Duration::from_millis(10);
/// How long the administrator's certificate is good.
const LIFETIME: time::Duration = time::Duration::hours(8760);
/// The schematic that adds the guest agent and nothing else.
const SCHEMATIC: &str = "ce4c980550dd2ab1b17bbf2b08801c7eb59418eafe8f279833297925d67c7515";

/// A cluster to bring up.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Version of Talos.
    pub(crate) talos: &'a str,
    /// URL of the Kubernetes API.
    pub(crate) endpoint: String,
    /// Nodes: name, whether it is a control plane, address.
    pub(crate) nodes: Vec<(String, bool, Option<Ipv4Addr>)>,
    /// The default gateway.
    pub(crate) gateway: Ipv4Addr,
    /// Length of the network prefix.
    pub(crate) prefix: u8,
    /// The address that the control planes share.
    pub(crate) vip: Option<Ipv4Addr>,
}

/// What an administrator gets of a cluster.
#[derive(Debug)]
pub(crate) struct Access {
    /// The file for talosctl.
    pub(crate) talosconfig: String,
    /// The file for kubectl.
    pub(crate) kubeconfig: String,
    /// The secrets bundle.
    pub(crate) secrets: String,
}

/// Makes the VMs, configures what boots on them, starts etcd, and waits until every node is ready.
pub(crate) async fn bring_up(plan: &Plan<'_>, pve: &Pve, talos: &Arc<Talos>) -> anyhow::Result<Access> {
    let contract = Contract::parse(plan.talos).map_err(|error| anyhow!("{error}"))?;
    // Luck decides how long that key is searched for; meanwhile everything is done that does without it.
    let search = tokio::task::spawn_blocking(move || cluster_pki::service_account(contract, &mut random));
    switch_on(plan, pve, talos).await?;
    let made = Bundle::generate_around(contract, Secret::default(), OffsetDateTime::now_utc(), &mut random);
    let mut bundle = made.map_err(|error| anyhow!("{error}"))?;
    configure(plan, contract, &bundle, MachineType::Worker, talos)?;
    bundle.service_account = search.await?.map_err(|error| anyhow!("{error}"))?;
    configure(plan, contract, &bundle, MachineType::ControlPlane, talos)?;
    let first = plan.nodes.iter().find(|(_, control_plane, _)| *control_plane).context("no control plane")?;
    let leader = talos.node(&first.0).context("the first control plane is not there")?;
    until(talos, "the first control plane to listen", |_| leader.stage() == Stage::Booting && leader.listens()).await?;
    leader.bootstrap().map_err(|status| anyhow!("bootstrap: {}", status.message()))?;
    until(talos, "every node to be ready", |talos| talos.nodes().iter().all(lab_talos::NodeHandle::is_ready)).await?;
    access(plan, &bundle, &leader)
}

async fn until(talos: &Arc<Talos>, what: &str, condition: impl Fn(&Arc<Talos>) -> bool) -> anyhow::Result<()> {
    // Looking at a thousand nodes after each change of one would take longer than what is waited for.
    let wait = async {
        let mut changes = talos.changes();
        while !condition(talos) {
            tokio::time::sleep(LOOK).await;
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.map_err(|_| anyhow!("waited in vain for {what}"))
}

async fn switch_on(plan: &Plan<'_>, pve: &Pve, talos: &Arc<Talos>) -> anyhow::Result<()> {
    let image = Image {
        schematic: SCHEMATIC.to_owned(),
        version: plan.talos.to_owned(),
        platform: "nocloud".to_owned(),
        extensions: vec!["siderolabs/qemu-guest-agent".to_owned()],
    };
    for host in pve.hosts() {
        pve.add_talos_image(&host, "local", "talos.qcow2", &image);
    }
    let hosts = pve.hosts();
    for (index, (name, control_plane, address)) in plan.nodes.iter().enumerate() {
        let (vmid, host) = (100 + index, &hosts[index % hosts.len()]);
        create(plan, pve, host, vmid, name, *control_plane, *address)?;
    }
    pve.until(|pve| pve.vms().iter().all(|vm| !vm.config.contains_key("lock"))).await;
    let vms = (0..plan.nodes.len()).map(|index| format!("/nodes/{}/qemu/{}", hosts[index % hosts.len()], 100 + index));
    let vms: Vec<String> = vms.collect();
    for vm in &vms {
        pve.call("PUT", &format!("{vm}/resize"), &[("disk", "scsi0"), ("size", "20G")])?;
    }
    pve.until(|pve| pve.tasks().iter().all(|task| task.exit.is_some())).await;
    for vm in &vms {
        pve.call("POST", &format!("{vm}/status/start"), &[])?;
    }
    let wanted = plan.nodes.len();
    until(talos, "every node to boot", move |talos| {
        let waiting = talos.nodes().iter().filter(|node| node.stage() == Stage::Maintenance).count();
        waiting == wanted
    })
    .await
}

fn create(
    plan: &Plan<'_>,
    pve: &Pve,
    host: &str,
    vmid: usize,
    name: &str,
    control_plane: bool,
    address: Option<Ipv4Addr>,
) -> anyhow::Result<()> {
    let ip = match address {
        Some(address) => format!("ip={address}/{},gw={}", plan.prefix, plan.gateway),
        None => "ip=dhcp".to_owned(),
    };
    let memory = if control_plane { "4096" } else { "2048" };
    let (vmid, tag) = (vmid.to_string(), format!("talos-{}", plan.name));
    let options = [
        ("vmid", vmid.as_str()),
        ("name", name),
        ("cores", "2"),
        ("memory", memory),
        ("cpu", "x86-64-v2-AES"),
        ("scsi0", "local-lvm:0,import-from=local:import/talos.qcow2"),
        ("ide0", "local-lvm:cloudinit,media=cdrom"),
        ("net0", "virtio,bridge=vmbr0"),
        ("serial0", "socket"),
        ("agent", "1"),
        ("ostype", "l26"),
        ("ipconfig0", ip.as_str()),
        ("tags", tag.as_str()),
    ];
    pve.call("POST", &format!("/nodes/{host}/qemu"), &options)
}

/// Gives the machines of one type their configs; those of workers hold no key of service accounts.
fn configure(
    plan: &Plan<'_>,
    contract: Contract,
    bundle: &Bundle,
    machine: MachineType,
    talos: &Arc<Talos>,
) -> anyhow::Result<()> {
    let installer = format!("factory.talos.dev/nocloud-installer/{SCHEMATIC}:{}", plan.talos);
    let options = Options { install_disk: "/dev/sda".to_owned(), install_image: installer, ..Options::default() };
    let input = Input {
        cluster: plan.name,
        endpoint: &plan.endpoint,
        contract,
        kubernetes: contract.kubernetes(),
        secrets: bundle.secrets(),
        options,
    };
    let control_planes = machine == MachineType::ControlPlane;
    for (name, ..) in plan.nodes.iter().filter(|(_, control_plane, _)| *control_plane == control_planes) {
        let node = Node {
            hostname: name,
            vip: plan.vip.filter(|_| control_planes).map(Into::into),
            nameservers: vec![plan.gateway.into()],
            ..Node::default()
        };
        let config = tailor(&generate(&input, machine), contract, machine, &node)?;
        let text = config.text(contract.dialect());
        let handle = talos.node(name).with_context(|| format!("{name} is not there"))?;
        handle.apply(&text).map_err(|status| anyhow!("{name}: {}", status.message()))?;
    }
    Ok(())
}

fn access(plan: &Plan<'_>, bundle: &Bundle, leader: &lab_talos::NodeHandle) -> anyhow::Result<Access> {
    let addresses =
        plan.nodes.iter().filter(|(_, control_plane, _)| *control_plane).filter_map(|(.., address)| *address);
    let endpoints: Vec<String> = addresses.map(|address| address.to_string()).collect();
    let now = OffsetDateTime::now_utc();
    // Commands need no `--nodes` then.
    let nodes = endpoints.iter().take(1).cloned().collect();
    let context = bundle.client(&["os:admin"], endpoints, now, LIFETIME, &mut random);
    let context = Context { nodes, ..context.map_err(|error| anyhow!("{error}"))? };
    Ok(Access {
        talosconfig: talosconfig::Talosconfig::of(plan.name, context)
            .emit(Contract::STABLE.dialect())
            .expose()
            .to_owned(),
        kubeconfig: leader.kubeconfig().context("the node hands out no kubeconfig")?,
        secrets: bundle.to_yaml().expose().to_owned(),
    })
}
