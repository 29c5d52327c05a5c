//! What names a VM by its ID: jobs of backups, rules of its firewall, rights. It goes with the VM, or with its ID.

use serde_json::{Map, Value, json};

use super::option_formats;
use super::reply::{Refusal, Reply};
use super::routes::{AUDIT_VM, Needs, Route, Takes, change, get};
use super::schema::{Kind, Param, TEXT};
use super::state::{Call, Config, State};

/// All calls about them.
pub(crate) const ROUTES: &[Route] = &[
    get("/cluster/backup", Needs::Any("/", &["Sys.Audit"]), &[], jobs),
    change(
        "POST",
        "/cluster/backup",
        Needs::Any("/", &["Sys.Modify"]),
        Takes::Only(&[
            Param::required("id", Kind::Format(option_formats::config_id)),
            Param::optional("vmid", Kind::Each(option_formats::vmid)),
            Param::optional("all", Kind::Boolean),
            Param::optional("schedule", TEXT),
            Param::optional("storage", TEXT),
        ]),
        add_job,
    ),
    get("/cluster/replication", Needs::Login, &[], replications),
    get("/nodes/{node}/qemu/{vmid}/firewall/rules", AUDIT_VM, &[], rules),
    change(
        "POST",
        "/nodes/{node}/qemu/{vmid}/firewall/rules",
        Needs::Any("/vms/{vmid}", &["VM.Config.Network"]),
        Takes::Only(&[
            Param::required("type", Kind::OneOf(&["in", "out", "group"])),
            Param::required("action", TEXT),
            Param::optional("enable", Kind::Integer(Some(0), None)),
            Param::optional("comment", TEXT),
        ]),
        add_rule,
    ),
];

/// The jobs and rules that there are.
#[derive(Debug, Default)]
pub(crate) struct Ties {
    jobs: Vec<Config>,
    rules: Vec<(u32, Config)>,
}

impl Ties {
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

fn add_job(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    state.ties.jobs.push(call.params.clone());
    Ok(Value::Null.into())
}

/// The lab replicates nothing.
fn replications(_: &mut State, _: &Call<'_>) -> Result<Reply, Refusal> {
    Ok(json!([]).into())
}

fn rules(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vmid = call.vmid();
    Ok(rows(state.ties.rules.iter().filter(|(of, _)| *of == vmid).map(|(_, rule)| rule)))
}

fn add_rule(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    state.ties.rules.push((call.vmid(), call.params.clone()));
    Ok(Value::Null.into())
}
