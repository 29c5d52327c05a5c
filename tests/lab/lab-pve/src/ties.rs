//! What names a VM by its ID: jobs of backups, rules of its firewall, rights. It goes with the VM, or with its ID.

use serde_json::{Map, Value, json};

use super::reply::{Refusal, Reply};
use super::routes::{AUDIT_VM, Needs, Route, get};
use super::state::{Call, Config, State};

/// All calls about them.
pub(crate) const ROUTES: &[Route] = &[
    get("/cluster/backup", Needs::Any("/", &["Sys.Audit"]), &[], jobs),
    get("/cluster/replication", Needs::Login, &[], replications),
    get("/nodes/{node}/qemu/{vmid}/firewall/rules", AUDIT_VM, &[], rules),
];

/// The jobs and rules that there are.
#[derive(Debug, Default)]
pub(crate) struct Ties {
    jobs: Vec<Config>,
    rules: Vec<(u32, Config)>,
}

impl Ties {
    /// A job that makes backups of these VMs.
    pub(crate) fn add_job(&mut self, id: &str, vmids: &str) {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        self.jobs.push([pair("id", id), pair("vmid", vmids), pair("schedule", "21:00")].into_iter().collect());
    }

    /// A rule of a VM's firewall that lets everything in.
    pub(crate) fn add_rule(&mut self, vmid: u32) {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        self.rules
            .push((vmid, [pair("type", "in"), pair("action", "ACCEPT"), pair("enable", "1")].into_iter().collect()));
    }

    /// As a destruction leaves them: the firewall is the VM's, and jobs forget it if they are purged. A job that named no
    /// other VM goes.
    pub(crate) fn forget(&mut self, vmid: u32, purges: bool) {
        self.rules.retain(|(of, _)| *of != vmid);
        if !purges {
            return;
        }
        let name = vmid.to_string();
        self.jobs.retain_mut(|job| {
            let Some(list) = job.get_mut("vmid").filter(|list| list.split(',').any(|id| id == name)) else {
                return true;
            };
            let left: Vec<&str> = list.split(',').filter(|id| *id != name).collect();
            *list = left.join(",");
            !list.is_empty()
        });
    }
}

fn rows<'a>(configs: impl Iterator<Item = &'a Config>) -> Reply {
    let row = |config: &Config| -> Value {
        let row: Map<String, Value> = config.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
        row.into()
    };
    Value::Array(configs.map(row).collect()).into()
}

fn jobs(state: &mut State, _: &Call<'_>) -> Result<Reply, Refusal> {
    Ok(rows(state.ties.jobs.iter()))
}

/// The lab replicates nothing.
fn replications(_: &mut State, _: &Call<'_>) -> Result<Reply, Refusal> {
    Ok(json!([]).into())
}

fn rules(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vmid = call.vmid();
    Ok(rows(state.ties.rules.iter().filter(|(of, _)| *of == vmid).map(|(_, rule)| rule)))
}
