//! What the tests of this crate share: secrets, machine configs, machines.

mod anything;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ED25519,
};

pub(crate) use anything::Anything;

use super::config::Authority;
use lab_core::machine::{Image, Machine, NicConfig};

/// The authorities of a cluster.
pub(crate) struct Secrets {
    pub(crate) machine: Authority,
    pub(crate) kubernetes: Authority,
    pub(crate) etcd: Authority,
}

impl Secrets {
    pub(crate) fn new() -> Self {
        Self { machine: ed25519("talos"), kubernetes: p256("kubernetes"), etcd: p256("etcd") }
    }

    /// The config of a control plane.
    pub(crate) fn control_plane(&self, hostname: &str, endpoint: &str) -> String {
        format!(
            "version: v1alpha1
machine:
    type: controlplane
    token: abcdef.0123456789abcdef
    ca: {{crt: {}, key: {}}}
    kubelet: {{image: 'ghcr.io/siderolabs/kubelet:v1.36.3'}}
    features: {{kubePrism: {{enabled: true, port: 7445}}}}
cluster:
    id: Y2x1c3Rlcg==
    controlPlane: {{endpoint: '{endpoint}'}}
    clusterName: lab
    token: abcdef.0123456789abcdef
    ca: {{crt: {}, key: {}}}
    apiServer: {{image: 'registry.k8s.io/kube-apiserver:v1.36.3'}}
    etcd: {{ca: {{crt: {}, key: {}}}}}
---
apiVersion: v1alpha1
kind: HostnameConfig
auto: off
hostname: {hostname}
",
            encode(&self.machine.certificate),
            encode(&self.machine.key),
            encode(&self.kubernetes.certificate),
            encode(&self.kubernetes.key),
            encode(&self.etcd.certificate),
            encode(&self.etcd.key),
        )
    }

    /// The config of a worker.
    pub(crate) fn worker(&self, hostname: &str, endpoint: &str) -> String {
        format!(
            "version: v1alpha1
machine:
    type: worker
    token: abcdef.0123456789abcdef
    ca: {{crt: {}, key: ''}}
    kubelet: {{image: 'ghcr.io/siderolabs/kubelet:v1.36.3'}}
    nodeLabels: {{topology.kubernetes.io/zone: pve1, node-role.kubernetes.io/worker: ''}}
cluster:
    id: Y2x1c3Rlcg==
    controlPlane: {{endpoint: '{endpoint}'}}
    clusterName: lab
    token: abcdef.0123456789abcdef
    ca: {{crt: {}, key: ''}}
---
apiVersion: v1alpha1
kind: HostnameConfig
auto: off
hostname: {hostname}
",
            encode(&self.machine.certificate),
            encode(&self.kubernetes.certificate),
        )
    }
}

fn encode(text: &str) -> String {
    STANDARD.encode(text)
}

fn authority(key: &KeyPair, organization: &str) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, organization);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    params.self_signed(key).unwrap().pem()
}

fn ed25519(organization: &str) -> Authority {
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let certificate = authority(&key, organization);
    Authority { certificate, key: key.serialize_pem().replace("PRIVATE KEY", "ED25519 PRIVATE KEY") }
}

fn p256(organization: &str) -> Authority {
    use p256::pkcs8::DecodePrivateKey;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = authority(&key, organization);
    let secret = p256::SecretKey::from_pkcs8_der(&key.serialize_der()).unwrap();
    let sec1 = secret.to_sec1_pem(p256::pkcs8::LineEnding::LF).unwrap();
    Authority { certificate, key: sec1.to_string() }
}

/// A machine with a Talos disk image; `address` as in `127.80.3.11`, DHCP if empty.
pub(crate) fn machine(name: &str, address: &str, version: &str) -> Machine {
    let network = match address {
        "" => NicConfig::Dhcp,
        address => NicConfig::Static { address: address.parse().unwrap(), prefix: 24, gateway: None },
    };
    let digits: String = lab_core::disk_image::hex(name.as_bytes());
    Machine {
        uuid: format!("{digits:0<8.8}-0000-4000-8000-{digits:0>12.12}"),
        name: name.to_owned(),
        host: "pve1".to_owned(),
        macs: vec![format!("BC:24:11:00:00:{:02X}", name.bytes().fold(0u8, u8::wrapping_add))],
        disk: format!("local-lvm:vm-{name}-disk-0"),
        image: Some(Image {
            schematic: "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba".to_owned(),
            version: version.to_owned(),
            platform: "nocloud".to_owned(),
            extensions: vec!["siderolabs/qemu-guest-agent".to_owned()],
        }),
        iso: None,
        network: vec![network],
        nameservers: Vec::new(),
        user_data: None,
        agent: true,
        cores: 2,
        memory: 4096,
        disk_size: 21_474_836_480,
    }
}

/// A cluster with a control plane and a worker, ready: `cp-1` on .11 and `w-1` on .12 of a network.
pub(crate) async fn cluster(subnet: &str) -> std::sync::Arc<super::Talos> {
    use super::tests::{BOUND, boot, lab};
    let secrets = Secrets::new();
    let talos = lab(subnet);
    let base = subnet.trim_end_matches("0/24").to_owned();
    let endpoint = format!("https://{base}11:6443");
    let texts = [secrets.control_plane("cp-1", &endpoint), secrets.worker("w-1", &endpoint)];
    for (id, text) in texts.iter().enumerate() {
        let name = ["cp-1", "w-1"][id];
        boot(&talos, name, &format!("{base}{}", 11 + id), "v1.13.9").await;
        let apply = super::world::Apply {
            data: text.clone().into_bytes(),
            mode: super::world::Mode::Auto,
            dry_run: false,
            try_timeout: None,
            admin: true,
        };
        talos.update(|world| world.apply(id, &apply)).unwrap();
    }
    talos.update(|world| world.bootstrap(0)).unwrap();
    assert!(talos.until(BOUND, |talos| talos.nodes().iter().all(super::NodeHandle::is_ready)).await);
    talos
}
