//! Terraform's providers for Proxmox VE (`bpg/proxmox`) and Talos (`siderolabs/talos`) as judges of the lab.
//!
//! Where `ICHOR_TERRAFORM_PROVIDERS` names the folder with their programs and `terraform` is on PATH; else skipped.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use lab::delays::Delays;
use lab::{Lab, Options};
use tokio::process::Command;

/// How long one run of Terraform may take.
const BOUND: Duration = Duration::from_secs(120);
/// What `terraform plan -detailed-exitcode` ends with when nothing is to be done.
const NOTHING_TO_DO: i32 = 0;

struct Terraform {
    program: PathBuf,
    folder: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Terraform {
    fn new(program: PathBuf, providers: &Path, lab: &Lab) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let main = Path::new(env!("CARGO_MANIFEST_DIR")).join("terraform/main.tf");
        std::fs::copy(main, folder.path().join("main.tf")).unwrap();
        let overrides = ["bpg/proxmox", "siderolabs/talos"].map(|name| format!("\"{name}\" = {providers:?}\n"));
        let overrides = overrides.concat();
        let text =
            format!("disable_checkpoint = true\nprovider_installation {{\ndev_overrides {{\n{overrides}}}\n}}\n");
        std::fs::write(folder.path().join("terraformrc"), text).unwrap();
        let env: std::collections::BTreeMap<String, String> = lab.env().into_iter().collect();
        let endpoint = &env["PROXMOX_VE_ENDPOINT"];
        let host = endpoint.trim_start_matches("https://").rsplit_once('.').unwrap().0;
        let variables = vec![
            ("TF_VAR_endpoint", endpoint.clone()),
            ("TF_VAR_password", env["ICHOR_LAB_PASSWORD"].clone()),
            ("TF_VAR_factory", env["ICHOR_FACTORY"].clone()),
            ("TF_VAR_network", host.to_owned()),
        ];
        Self { program, folder, variables }
    }

    async fn run(&self, arguments: &[&str], changes: &[&str], wanted: i32) {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("-no-color").arg("-input=false").current_dir(self.folder.path());
        for change in changes {
            command.arg("-var").arg(change);
        }
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let strange = ["TF_", "PROXMOX_VE_", "TALOS"].iter().any(|start| name.starts_with(start));
            if strange || name.to_lowercase().ends_with("_proxy") {
                command.env_remove(name);
            }
        }
        command.env("TF_CLI_CONFIG_FILE", self.folder.path().join("terraformrc")).env("CHECKPOINT_DISABLE", "1");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let output = tokio::time::timeout(BOUND, command.kill_on_drop(true).output()).await;
        let output = output.unwrap_or_else(|_| panic!("terraform {arguments:?} does not end")).unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(wanted), "terraform {arguments:?} {changes:?}: {text}");
    }

    /// Makes what is described, and finds it as described.
    async fn apply(&self, changes: &[&str]) {
        self.run(&["apply", "-auto-approve"], changes, 0).await;
        self.run(&["plan", "-detailed-exitcode"], changes, NOTHING_TO_DO).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_made_by_terraform_is_found_as_it_was_described_and_leaves_nothing() {
    let Some(program) = judges::require("terraform") else { return };
    let Some(providers) = judges::folder("terraform-providers", "ICHOR_TERRAFORM_PROVIDERS") else { return };
    let hosts = ["pve1", "pve2"].map(str::to_owned).to_vec();
    let lab = Lab::start(Options { hosts, delays: Delays::ZERO, ..Options::default() }).await.unwrap();
    let terraform = Terraform::new(program, &providers, &lab);
    terraform.apply(&[]).await;
    for node in ["cp-1", "w-1"] {
        assert!(lab.talos().node(node).unwrap().is_ready(), "{node} is not ready");
    }
    let changed = ["cores=4", "disk=25", "label=two"];
    terraform.apply(&changed).await;
    let cores = lab.pve().vm_by_name("cp-1").unwrap().config["cores"].clone();
    assert_eq!(cores, "4");
    terraform.run(&["destroy", "-auto-approve"], &changed, 0).await;
    assert_eq!(lab.pve().vms(), []);
}
